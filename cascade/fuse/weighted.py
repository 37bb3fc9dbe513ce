"""Weighted sum of normalised scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from cascade.fuse.normalize import min_max, z_score
from cascade.types import Ranking

_NORMALIZE = {"min_max": min_max, "z_score": z_score}


class WeightedFuser:
    """Fuses by score: each branch is normalised by itself, weighted and added.

    A document that a branch did not find gets that branch's lowest normalised score, the best that is known of it; one
    less where all that were found are equal, since a branch that found a single document says the most.
    """

    def __init__(
        self,
        name: str = "fuse",
        *,
        normalize: Literal["min_max", "z_score"] = "min_max",
        weights: Mapping[str, float] | None = None,
    ) -> None:
        self._name = name
        self._normalize = _NORMALIZE[normalize]
        self._weights = dict(weights or {})

    def fuse(self, rankings: Mapping[str, Ranking]) -> Ranking:
        """One ranking of all documents; a ranking without a weight counts 1, an empty one counts nothing."""
        totals = dict.fromkeys((c.doc_id for ranking in rankings.values() for c in ranking), 0.0)
        for branch, ranking in rankings.items():
            if not len(ranking):
                continue
            weight = self._weights.get(branch, 1.0)
            normalized = self._normalize([c.score for c in ranking])
            found = dict(zip(ranking.doc_ids, normalized, strict=True))
            lowest = min(normalized) - (min(normalized) == max(normalized))
            for doc_id in totals:
                totals[doc_id] += weight * found.get(doc_id, lowest)
        return Ranking.from_scores(totals.items(), self._name)

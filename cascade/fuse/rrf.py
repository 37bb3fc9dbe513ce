"""Reciprocal rank fusion: order by the sum of 1 / (rrf_k + rank) over the rankings that hold a document."""

from __future__ import annotations

from collections.abc import Mapping

from cascade.types import Ranking


class RrfFuser:
    """Fuses by rank alone, so that scores of different scales never meet (Cormack, Clarke and Buettcher, 2009)."""

    def __init__(self, name: str = "fuse", *, rrf_k: float = 60, weights: Mapping[str, float] | None = None) -> None:
        self._name = name
        self._rrf_k = rrf_k
        self._weights = dict(weights or {})

    def fuse(self, rankings: Mapping[str, Ranking]) -> Ranking:
        """One ranking of all documents; a ranking without a weight counts 1.

        Documents with one score in a ranking share the rank of the first of them: their order there is only that of
        their ids, and must not decide between them here.
        """
        scores: dict[str, float] = {}
        for branch, ranking in rankings.items():
            weight = self._weights.get(branch, 1.0)
            before, gain = None, 0.0
            for doc_id, score, rank, scored_by, _, _, _ in ranking.candidates:
                if before != (place := (score, scored_by)):
                    gain = weight / (self._rrf_k + rank)
                scores[doc_id] = scores.get(doc_id, 0.0) + gain
                before = place
        return Ranking.from_scores(scores.items(), self._name)

"""How a tier's order and the order it received become one."""

from __future__ import annotations

from collections.abc import Sequence

from cascade.config import Blend
from cascade.fuse.rrf import RrfFuser
from cascade.fuse.weighted import WeightedFuser
from cascade.stages import Fuser
from cascade.types import Ranking


def blended(name: str, blend: Blend, received: Ranking, ranked: Ranking) -> Ranking:
    """One ranking of the candidates that both rank, scored by `name`."""
    return _fuser(name, blend).fuse({"received": _comparable(blend, received), "tier": ranked})


def parts(blend: Blend, received: Ranking, values: Sequence[float]) -> tuple[list[float], list[float]]:
    """What the order received and the tier's `values` contribute to each candidate, in the order received.

    The two add up to the blended score.
    """
    fuser = _fuser("tier", blend)
    ranked = Ranking.from_scores(zip(received.doc_ids, values, strict=True), "tier")
    of_received = {c.doc_id: c.score for c in fuser.fuse({"received": _comparable(blend, received)})}
    of_tier = {c.doc_id: c.score for c in fuser.fuse({"tier": ranked})}
    return [of_received[d] for d in received.doc_ids], [of_tier[d] for d in received.doc_ids]


def _fuser(name: str, blend: Blend) -> Fuser:
    weights = {"received": 1.0 - blend.weight, "tier": blend.weight}
    if blend.method == "rrf":
        return RrfFuser(name, rrf_k=blend.rrf_k, weights=weights)
    return WeightedFuser(name, normalize=blend.method, weights=weights)


def _comparable(blend: Blend, received: Ranking) -> Ranking:
    """The order received; by its ranks where it would be added by scores that are of two scales."""
    if blend.method == "rrf" or len({c.scored_by for c in received}) == 1:
        return received
    return Ranking.from_scores([(c.doc_id, -float(c.rank)) for c in received], "received")

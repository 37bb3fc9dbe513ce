"""How a tier's order and the order it received become one."""

from __future__ import annotations

from cascade.config import Blend
from cascade.fuse.rrf import RrfFuser
from cascade.fuse.weighted import WeightedFuser
from cascade.types import Ranking


def blended(name: str, blend: Blend, received: Ranking, ranked: Ranking) -> Ranking:
    """One ranking of the candidates that both rank, scored by `name`."""
    weights = {"received": 1.0 - blend.weight, "tier": blend.weight}
    if blend.method == "rrf":
        return RrfFuser(name, rrf_k=blend.rrf_k, weights=weights).fuse({"received": received, "tier": ranked})
    if len({c.scored_by for c in received}) > 1:  # scores of two scales cannot be added
        received = Ranking.from_scores([(c.doc_id, -float(c.rank)) for c in received], "received")
    fuser = WeightedFuser(name, normalize=blend.method, weights=weights)
    return fuser.fuse({"received": received, "tier": ranked})

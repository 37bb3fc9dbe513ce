"""A tier that keeps the order it received."""

from __future__ import annotations

from collections.abc import Sequence

from cascade.budget import Budget
from cascade.stages import Scores
from cascade.types import Candidate, Query


class IdentityReranker:
    """Scores by the rank received, so that the order stands; it serves to narrow, and to compare others with."""

    async def score(self, query: Query, candidates: Sequence[Candidate], *, budget: Budget) -> Scores:
        """1 / rank for each candidate."""
        return Scores(tuple(1.0 / c.rank for c in candidates))

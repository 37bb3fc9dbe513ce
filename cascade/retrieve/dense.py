"""Retrieval by meaning from an index: the documents whose vectors are nearest to the query's."""

from __future__ import annotations

from typing import Protocol

from cascade.budget import Budget
from cascade.index import Snapshot
from cascade.index.info import Vectors
from cascade.retrieve.work import in_thread
from cascade.stages import Retrieval, Usage
from cascade.types import Query, Ranking


class QueryEncoder(Protocol):
    """Turns a query into a vector of unit length."""

    async def encode_query(self, text: str, *, budget: Budget) -> tuple[Vectors, Usage]:
        """A float32 vector (dimensions,), and what it cost. Raises TimeoutError when the budget runs out first."""
        ...


class DenseRetriever:
    """Nearest vectors of one snapshot; `encoder` must be the one that the index was made with."""

    def __init__(self, snapshot: Snapshot, encoder: QueryEncoder, name: str = "dense") -> None:
        self.name = name
        self._snapshot = snapshot
        self._encoder = encoder

    async def retrieve(self, query: Query, *, depth: int, budget: Budget) -> Retrieval:
        """The `depth` nearest documents that meet `query.where`, best first. Raises TimeoutError."""
        if budget.expired:
            raise TimeoutError("the budget was spent before the query was encoded")
        vector, usage = await self._encoder.encode_query(query.text, budget=budget)
        found = await in_thread(budget, lambda: self._snapshot.dense(vector, depth, query.where))
        return Retrieval(Ranking.from_scores(found, self.name), usage)

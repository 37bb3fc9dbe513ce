"""Lexical retrieval from an index."""

from __future__ import annotations

from cascade.budget import Budget
from cascade.index import Snapshot
from cascade.retrieve.work import in_thread
from cascade.stages import Retrieval
from cascade.types import Query, Ranking


class Bm25Retriever:
    """BM25 over one snapshot, with the index's own k1 and b; a document without a term of the query is not found."""

    def __init__(self, snapshot: Snapshot, name: str = "bm25") -> None:
        self.name = name
        self._snapshot = snapshot

    async def retrieve(self, query: Query, *, depth: int, budget: Budget) -> Retrieval:
        """The best `depth` documents that meet `query.where`, best first. Raises TimeoutError."""
        found = await in_thread(budget, lambda: self._snapshot.bm25(query.text, depth, query.where))
        return Retrieval(Ranking.from_scores(found, self.name))

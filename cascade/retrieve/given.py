"""Keeps the order in which documents came with the request, for callers whose own search has ranked them."""

from __future__ import annotations

from collections.abc import Sequence

from cascade.budget import Budget
from cascade.filters import matches
from cascade.stages import Retrieval
from cascade.types import Document, Query, Ranking


class Given:
    """The request's documents, first one first; a document's score is how many of them come after it, and 1."""

    def __init__(self, documents: Sequence[Document], name: str = "given") -> None:
        self.name = name
        self._documents = tuple(documents)

    async def retrieve(self, query: Query, *, depth: int, budget: Budget) -> Retrieval:
        """The first `depth` documents that meet `query.where`, in the order given. Raises TimeoutError."""
        if budget.expired:
            raise TimeoutError("the budget was spent before the documents were looked at")
        where, kept = query.where, self._documents
        if where is not None:
            kept = tuple(document for document in kept if matches(where, document.metadata))
        kept = kept[:depth]
        scores = [(document.doc_id, float(len(kept) - place)) for place, document in enumerate(kept)]
        return Retrieval(Ranking.from_scores(scores, self.name))

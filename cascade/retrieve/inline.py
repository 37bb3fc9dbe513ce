"""Retrieval from documents that came with the request; each takes part, also one that shares nothing with the query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from cascade.budget import Budget
from cascade.filters import matches
from cascade.index.tokens import tokenize, tokenize_query
from cascade.inference.encoder import Encoded
from cascade.retrieve.dense import QueryEncoder
from cascade.retrieve.work import in_thread
from cascade.stages import Retrieval, Usage
from cascade.types import Document, Query, Ranking, Truncation


class InlineEncoder(QueryEncoder, Protocol):
    """Turns queries and passages into vectors of unit length in one space."""

    async def encode_passages(self, passages: Sequence[str], *, budget: Budget) -> Encoded:
        """Vectors of all passages, in order. Raises TimeoutError when the budget runs out first."""
        ...


class InlineBm25:
    """rank-bm25's `BM25Plus` with delta 0 over the documents that meet the filter: the formula of an index's BM25.

    Its idf, ln((N + 1) / df), is above zero for any number of documents, where Okapi's is negative for a term in most.
    """

    def __init__(self, documents: Sequence[Document], name: str = "bm25", k1: float = 1.2, b: float = 0.75) -> None:
        self.name = name
        self._documents = tuple(documents)
        self._k1 = k1
        self._b = b

    async def retrieve(self, query: Query, *, depth: int, budget: Budget) -> Retrieval:
        """The best `depth` documents that meet `query.where`, best first. Raises TimeoutError."""
        scores = await in_thread(budget, lambda: self._scores(query))
        return Retrieval(Ranking.from_scores(scores, self.name).head(depth))

    def _scores(self, query: Query) -> list[tuple[str, float]]:
        from rank_bm25 import BM25Plus

        documents = _meeting(query, self._documents)
        terms = [tokenize(document.passage) for document in documents]
        if not any(terms):  # there is no mean length to divide by
            return [(document.doc_id, 0.0) for document in documents]
        scores = BM25Plus(terms, k1=self._k1, b=self._b, delta=0).get_scores(tokenize_query(query.text))
        return [(document.doc_id, float(score)) for document, score in zip(documents, scores, strict=True)]


class InlineDense:
    """Inner products of unit vectors, all computed for this request."""

    def __init__(self, documents: Sequence[Document], encoder: InlineEncoder, name: str = "dense") -> None:
        self.name = name
        self._documents = tuple(documents)
        self._encoder = encoder

    async def retrieve(self, query: Query, *, depth: int, budget: Budget) -> Retrieval:
        """The `depth` nearest documents that meet `query.where`, best first. Raises TimeoutError."""
        documents = _meeting(query, self._documents)
        if budget.expired:
            raise TimeoutError("the budget was spent before the query was encoded")
        vector, usage = await self._encoder.encode_query(query.text, budget=budget)
        if not documents:
            return Retrieval(Ranking(), usage)
        encoded = await self._encoder.encode_passages([d.passage for d in documents], budget=budget)
        scores = encoded.vectors @ vector
        pairs = [(document.doc_id, float(score)) for document, score in zip(documents, scores, strict=True)]
        cut = tuple(
            Truncation(document.doc_id, self.name, seen, total)
            for document, (seen, total) in zip(documents, encoded.seen, strict=True)
            if seen < total
        )
        tokens = usage.tokens + sum(seen for seen, _ in encoded.seen)
        used = Usage(usage.queue_time + encoded.queue_time, tokens, cut)
        return Retrieval(Ranking.from_scores(pairs, self.name).head(depth), used)


def _meeting(query: Query, documents: Sequence[Document]) -> list[Document]:
    where = query.where
    return [d for d in documents if where is None or matches(where, d.metadata)]

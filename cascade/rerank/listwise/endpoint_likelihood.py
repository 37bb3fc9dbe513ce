"""The listwise tier of kind likelihood, by a language model behind an OpenAI-compatible server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from cascade.budget import Budget
from cascade.errors import CascadeError
from cascade.inference.cost import approximate_tokens
from cascade.rerank.listwise.echo_reader import EchoReader
from cascade.rerank.listwise.endpoint import piece
from cascade.rerank.listwise.endpoint_client import at_once
from cascade.stages import Scores, Usage
from cascade.types import Candidate, Query, Truncation

log = structlog.get_logger()

_MAX_QUERY_TOKENS = 512
_SHARE = 0.95
"""Of a tier's time for its calls: what came of them must still reach the engine."""


class EndpointLikelihoodReranker:
    """Scores as `LikelihoodReranker` does; a call for each document, at most `concurrency` of a request at once.

    A document that got no score comes after those that did, in the order received, and counts as a repair; only when
    none got one, there is no answer.
    """

    def __init__(self, name: str, reader: EchoReader, *, max_doc_tokens: int = 256, concurrency: int = 4) -> None:
        self._name = name
        self._reader = reader
        self._max_doc_tokens = max_doc_tokens
        self._concurrency = concurrency

    async def warm_up(self) -> None:
        """Reach the endpoint and run the self-test. Raises ModelLoadError for one that does not pass."""
        await self._reader.ensure_ready(Budget())

    def estimate_cost(self, query: Query, candidates: Sequence[Candidate], *, account: str = "") -> float:
        """Seconds, by the rate of the last calls, as many at once as there may be."""
        if not candidates:
            return 0.0
        tokens = approximate_tokens([c.text for c in candidates], most=self._max_doc_tokens)
        tokens += len(candidates) * approximate_tokens([query.text], most=_MAX_QUERY_TOKENS)
        return self._reader.cost.seconds(tokens) / min(self._concurrency, len(candidates))

    async def score(self, query: Query, candidates: Sequence[Candidate], *, budget: Budget) -> Scores:
        """The mean natural-log probability of the query's tokens after each candidate, at most 0.

        Raises what the first failed call raised, or TimeoutError, when no candidate got a score.
        """
        pieces = [piece(c.text or "", self._max_doc_tokens) for c in candidates]
        asked = piece(query.text, _MAX_QUERY_TOKENS)[0]
        if not asked.strip() or not candidates:
            unread = self._cut(candidates, [(0, total) for _, _, total in pieces])
            return Scores((0.0,) * len(candidates), Usage(truncations=unread))
        within = budget.share(_SHARE)
        await self._reader.ensure_ready(within)
        asking = _Asking(self._reader, asked, within, self._concurrency)
        values = await asking.scores([text for text, _, _ in pieces])
        cut = self._cut(candidates, [(kept, total) for _, kept, total in pieces])
        return Scores(
            _completed(values), Usage(asking.waited, asking.tokens, cut, values.count(None), asking.lacks(values))
        )

    def _cut(self, candidates: Sequence[Candidate], seen: Sequence[tuple[int, int]]) -> tuple[Truncation, ...]:
        return tuple(
            Truncation(candidate.doc_id, self._name, kept, total)
            for candidate, (kept, total) in zip(candidates, seen, strict=True)
            if kept < total
        )


class _Asking:
    """One request's passages."""

    def __init__(self, reader: EchoReader, query: str, budget: Budget, concurrency: int) -> None:
        self.tokens = 0
        self.waited = 0.0
        self._reader = reader
        self._query = query
        self._budget = budget
        self._places = asyncio.Semaphore(concurrency)
        self._failures: list[Exception] = []

    async def scores(self, passages: Sequence[str]) -> list[float | None]:
        """One for each passage, None for those without. Raises when that is all of them."""
        found = await at_once(self._score(text) for text in passages)
        if found.count(None) == len(found):
            raise self._failures[0] if self._failures else TimeoutError
        return found

    def lacks(self, values: Sequence[float | None]) -> str:
        """What the answer lacks, in a sentence; empty when nothing."""
        lacks, failed = [], len(self._failures)
        if failed:
            documents = "one document" if failed == 1 else f"{failed} documents"
            first = str(self._failures[0]) or "it did not answer in time"
            log.warning("documents_without_score", endpoint=self._reader.reference, documents=failed, problem=first)
            lacks.append(f"{documents} of {len(values)} got no score and come last: {first}")
        if values.count(None) > failed:
            lacks.append(
                f"time ran out when {len(values) - values.count(None)} of {len(values)} documents had a score, and the "
                "others come last; allow a larger budget for all of them"
            )
        return "; ".join(lacks)

    async def _score(self, passage: str) -> float | None:
        async with self._places:
            if self._budget.expired:
                return None
            try:
                told = await self._reader.read(self._query, passage, self._budget)
            except (CascadeError, TimeoutError) as error:
                if not self._budget.expired:
                    self._failures.append(error)
                return None
            self.tokens += told.tokens
            self.waited += told.waited
            return told.score


def _completed(values: Sequence[float | None]) -> tuple[float, ...]:
    """With what stands in for those that are missing: below all others by 1 to 2, in the order received."""
    least = min(value for value in values if value is not None)
    return tuple(least - 1.0 - place / len(values) if value is None else value for place, value in enumerate(values))

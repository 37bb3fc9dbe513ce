"""Asks an endpoint several things at once for one request, and tells which documents got no score of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, Protocol, TypeVar

import structlog

from cascade.budget import Budget
from cascade.errors import CascadeError
from cascade.rerank.listwise.endpoint_client import at_once

log = structlog.get_logger()

SHARE = 0.95
"""Of a tier's time for its calls: what came of them must still reach the engine."""


class Told(Protocol):
    """What a call returns: among it the tokens read, and the seconds waited for a free place."""

    @property
    def tokens(self) -> int:
        """As the endpoint counts them."""
        ...

    @property
    def waited(self) -> float:
        """Seconds."""
        ...


T = TypeVar("T", bound=Told)


class Asking(Generic[T]):
    """One request's calls, at most `concurrency` at once; call i is about `documents[i]` of its documents."""

    def __init__(self, reference: str, documents: Sequence[int], budget: Budget, concurrency: int) -> None:
        self.tokens = 0
        self.waited = 0.0
        self._reference = reference
        self._documents = documents
        self._budget = budget
        self._places = asyncio.Semaphore(concurrency)
        self._failures: list[tuple[int, Exception]] = []

    async def answers(self, calls: Sequence[Callable[[], Awaitable[T]]]) -> list[T | None]:
        """One for each call, None where there is none. Raises what the first failed one raised when that is all."""
        found = await at_once(self._answer(call, count) for call, count in zip(calls, self._documents, strict=True))
        if found.count(None) == len(found):
            raise self._failures[0][1] if self._failures else TimeoutError
        return found

    def lacks(self, answers: Sequence[T | None]) -> str:
        """What the scores lack, in a sentence; empty when nothing."""
        lacks, failed, total = [], sum(count for count, _ in self._failures), sum(self._documents)
        if failed:
            documents = "one document" if failed == 1 else f"{failed} documents"
            first = str(self._failures[0][1]) or "it did not answer in time"
            log.warning("documents_without_score", endpoint=self._reference, documents=failed, problem=first)
            lacks.append(f"{documents} of {total} got no score and come last: {first}")
        without = sum(count for answer, count in zip(answers, self._documents, strict=True) if answer is None)
        if without > failed:
            lacks.append(
                f"time ran out when {total - without} of {total} documents had a score, and the "
                "others come last; allow a larger budget for all of them"
            )
        return "; ".join(lacks)

    async def _answer(self, call: Callable[[], Awaitable[T]], documents: int) -> T | None:
        async with self._places:
            if self._budget.expired:
                return None
            try:
                told = await call()
            except (CascadeError, TimeoutError) as error:
                if not self._budget.expired:
                    self._failures.append((documents, error))
                return None
            self.tokens += told.tokens
            self.waited += told.waited
            return told


def completed(values: Sequence[float | None]) -> tuple[float, ...]:
    """With what stands in for those that are missing: below all others by 1 to 2, in the order received."""
    least = min(value for value in values if value is not None)
    return tuple(least - 1.0 - place / len(values) if value is None else value for place, value in enumerate(values))

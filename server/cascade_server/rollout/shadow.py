"""Copies of requests, ranked again by another version when nobody else needs the server, and compared."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import structlog

from cascade.answer import Answer
from cascade.budget import Account, Budget, Priority
from cascade.config import CascadeConfig
from cascade.stages import Corpus
from cascade_server.convert.requests import RankQuery
from cascade_server.metrics.rollouts import RolloutMetrics
from cascade_server.pricing import priced
from cascade_server.rollout.overlap import overlap, rank_biased_overlap
from cascade_server.rollout.serving import Wired
from cascade_server.rollout.work import work_seconds

MOST = 4
"""Copies in work at a time; more are not made."""
FIRST = 10
"""How many results are compared as a set."""
_MOST_SECONDS = 30.0
"""What a copy may take: it waits for everybody, and an answer that comes much later says nothing new."""

log = structlog.get_logger()


class Lost(StrEnum):
    """Why a copy was not compared."""

    FULL = "full"
    BUSY = "busy"
    DEGRADED = "degraded"
    OVERRAN = "overran"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Copy:
    """An answered request, and how its documents are given to another version.

    `ranked` are the doc_ids of the answer, None of one that was degraded.
    """

    account: Account
    asked: RankQuery
    bind: Callable[[CascadeConfig], Corpus]
    shadow: Wired
    ranked: tuple[str, ...] | None


class Shadows:
    """No caller sees, waits for or pays for a copy; it runs after all other work, and ends with the server at once."""

    def __init__(
        self, metrics: RolloutMetrics, busy: Callable[[], bool], prices: Mapping[str, float], most: int = MOST
    ) -> None:
        """`busy` says whether requests need all there is; `prices` is money per million tokens by model."""
        self._metrics = metrics
        self._busy = busy
        self._prices = prices
        self._most = most
        self._running: set[asyncio.Task[None]] = set()
        self._closed = False

    def offer(self, copy: Copy) -> None:
        """Rank it in the background, or drop it."""
        if self._closed:
            return
        if copy.ranked is None:
            self._lost(copy, Lost.DEGRADED)
        elif len(self._running) >= self._most:
            self._lost(copy, Lost.FULL)
        elif self._busy():
            self._lost(copy, Lost.BUSY)
        else:
            task = asyncio.create_task(self._rank(copy, copy.ranked))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def idle(self) -> None:
        """Return when no copy is in work."""
        while self._running:
            await asyncio.wait(self._running)

    async def aclose(self) -> None:
        """Drop what is in work, and take no more."""
        self._closed = True
        for task in self._running:
            task.cancel()
        await self.idle()

    async def _rank(self, copy: Copy, ranked: tuple[str, ...]) -> None:
        asked, cascade = copy.asked, copy.shadow.cascade
        budget = replace(Budget.of(_MOST_SECONDS), account=replace(copy.account, priority=Priority.SHADOW))
        try:
            async with asyncio.timeout(_MOST_SECONDS):
                answer = await cascade.rank(
                    asked.query,
                    copy.bind(cascade.config),
                    top_k=asked.top_k,
                    budget=budget,
                    min_probability=asked.min_probability,
                )
        except TimeoutError:
            self._lost(copy, Lost.OVERRAN)
        except Exception as error:
            # Whatever is wrong with a version is what its shadow is there to find out.
            self._lost(copy, Lost.ERROR)
            log.warning(
                "shadow_failed",
                tenant=copy.account.name,
                cascade=cascade.name,
                version=copy.shadow.number,
                problem=f"{type(error).__name__}: {error}",
            )
        else:
            self._compare(copy, ranked, answer)

    def _compare(self, copy: Copy, ranked: tuple[str, ...], answer: Answer) -> None:
        tenant, name, config = copy.account.name, copy.shadow.cascade.name, copy.shadow.cascade.config
        trace = priced(answer.trace, self._prices)
        seconds = work_seconds(config, trace)
        self._metrics.answered(tenant, name, "shadow", seconds, answer.degraded, trace)
        if answer.degraded:  # for want of time, which says nothing about the version
            self._lost(copy, Lost.DEGRADED)
            return
        found = answer.ranking.doc_ids
        first = min(FIRST, copy.asked.top_k)
        self._metrics.compared(tenant, name, overlap(ranked, found, first), rank_biased_overlap(ranked, found))

    def _lost(self, copy: Copy, reason: Lost) -> None:
        self._metrics.lost(copy.account.name, copy.shadow.cascade.name, reason.value)

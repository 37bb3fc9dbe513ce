"""What tenants used, summed up in memory and added to the store every few seconds."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

import structlog

from cascade.trace import StageTrace, degraded
from cascade_server.control.state import Usage
from cascade_server.interceptors.record import OTHER
from cascade_server.pricing import total_cost

log = structlog.get_logger()

_Key = tuple[str, str, str]  # tenant, cascade, day
_MOST_ROWS = 10_000


def utc_day() -> str:
    """Today in UTC, as ISO writes it."""
    return datetime.now(UTC).date().isoformat()


class UsageCounter:
    """Nothing that was counted is lost while the process lives: what the store does not take is kept for the next time.

    A store that fails after it has added something is given that again, so sums err on the side of too much. There are
    at most `most_rows` sums in memory, and one a day for all that finds no room among them, whose tenant and cascade
    are `other`. The methods that count may be called from any thread.
    """

    def __init__(
        self,
        add: Callable[[Sequence[Usage]], None],
        *,
        every: float = 5.0,
        most_rows: int = _MOST_ROWS,
        day: Callable[[], str] = utc_day,
    ) -> None:
        """`add` adds rows to the store, in a thread, and raises what goes wrong; it is called every `every` seconds."""
        self._add = add
        self._every = every
        self._most_rows = most_rows
        self._day = day
        self._rows: dict[_Key, Usage] = {}
        self._lock = threading.Lock()
        self._flushing = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.problem: str | None = None

    @property
    def kept(self) -> int:
        """How many sums are here since the store did not take them."""
        return 0 if self.problem is None else len(self._rows)

    def answered(self, tenant: str, cascade: str, trace: Iterable[StageTrace]) -> None:
        """A rank request was answered."""
        self._count(tenant, cascade, tuple(trace), answered=True)

    def abandoned(self, tenant: str, cascade: str, trace: Iterable[StageTrace]) -> None:
        """A rank request had this done for it and was not answered; its tokens were used nonetheless."""
        self._count(tenant, cascade, tuple(trace), answered=False)

    def start(self) -> None:
        """Add to the store from now on."""
        self._task = asyncio.create_task(self._run())

    async def flush(self) -> bool:
        """Add to the store what was counted; False, with `problem`, when it was not taken and is kept."""
        # Shielded: a thread cannot be called back, and what it may have added must not be kept as well.
        return await asyncio.shield(asyncio.create_task(self._flush()))

    async def aclose(self) -> None:
        """Add to the store what is left, and end."""
        self._stopping.set()
        if self._task is not None:
            await self._task
        if not await self.flush():
            with self._lock:
                lost = list(self._rows.values())
            log.error("usage_lost", rows=len(lost), tokens=sum(row.tokens for row in lost), problem=self.problem)

    async def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                async with asyncio.timeout(self._every):
                    await self._stopping.wait()
            except TimeoutError:
                await self.flush()

    async def _flush(self) -> bool:
        async with self._flushing:
            with self._lock:
                rows, self._rows = self._rows, {}
            return not rows or await self._hand_over(rows)

    async def _hand_over(self, rows: dict[_Key, Usage]) -> bool:
        try:
            await asyncio.to_thread(self._add, list(rows.values()))
        except Exception as error:  # whatever it is, the counter must go on and lose nothing
            with self._lock:
                for key, row in rows.items():
                    self._merge(key, row)
            problem = f"{type(error).__name__}: {error}"
            if problem != self.problem:
                log.error("usage_not_stored", problem=problem, rows=len(rows))
            self.problem = problem
            return False
        if self.problem is not None:
            log.info("usage_stored_again", rows=len(rows))
        self.problem = None
        return True

    def _count(self, tenant: str, cascade: str, trace: tuple[StageTrace, ...], *, answered: bool) -> None:
        key = (tenant, cascade, self._day())
        row = Usage(
            *key,
            requests=int(answered),
            degraded=int(answered and degraded(trace)),
            tokens=sum(t.tokens for t in trace),
            cost=total_cost(trace),
        )
        with self._lock:
            self._merge(key, row)

    def _merge(self, key: _Key, more: Usage) -> None:
        if key not in self._rows and len(self._rows) >= self._most_rows:
            key = (OTHER, OTHER, key[2])
        held = self._rows.get(key, Usage(*key))
        costs = [cost for cost in (held.cost, more.cost) if cost is not None]
        self._rows[key] = Usage(
            *key,
            requests=held.requests + more.requests,
            degraded=held.degraded + more.degraded,
            tokens=held.tokens + more.tokens,
            cost=sum(costs) if costs else None,
        )

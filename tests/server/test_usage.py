"""What tenants used is counted once, and kept while the store does not take it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from cascade.trace import Reason, StageStatus, StageTrace
from cascade_server.control.state import Usage
from cascade_server.usage import UsageCounter, utc_day

DAY = "2026-01-31"
READ = StageTrace("cross", "cross_encoder", StageStatus.COMPLETED, model="reader", tokens=10, cost=0.5)
SHORT = StageTrace("cross", "cross_encoder", StageStatus.SKIPPED, Reason.NO_TIME, model="reader")


class Ledger:
    """A store that adds up what it is given, unless it is told to fail."""

    def __init__(self) -> None:
        self.fails: Exception | None = None
        self.rows: list[Usage] = []
        self.thread: int | None = None

    def add(self, rows: Sequence[Usage]) -> None:
        self.thread = threading.get_ident()
        if self.fails is not None:
            raise self.fails
        self.rows += rows


def counter(ledger: Ledger, **options: int) -> UsageCounter:
    return UsageCounter(ledger.add, day=lambda: DAY, **options)  # type: ignore[arg-type]  # only whole numbers are given


async def test_requests_are_summed_up_by_tenant_cascade_and_day() -> None:
    ledger = Ledger()
    usage = counter(ledger)
    usage.answered("acme", "search", [READ, READ])
    usage.answered("acme", "search", [READ, SHORT])
    usage.answered("calm", "search", [SHORT])
    assert await usage.flush()
    assert ledger.rows == [
        Usage("acme", "search", DAY, requests=2, degraded=1, tokens=30, cost=1.5),
        Usage("calm", "search", DAY, requests=1, degraded=1, tokens=0, cost=None),
    ]


async def test_what_was_added_is_not_added_again() -> None:
    ledger = Ledger()
    usage = counter(ledger)
    usage.answered("acme", "search", [READ])
    await usage.flush()
    await usage.flush()
    assert len(ledger.rows) == 1


async def test_the_event_loop_does_not_wait_for_the_store() -> None:
    ledger = Ledger()
    usage = counter(ledger)
    usage.answered("acme", "search", [READ])
    await usage.flush()
    assert ledger.thread not in (None, threading.get_ident())


async def test_what_the_store_does_not_take_is_kept_and_added_to() -> None:
    ledger = Ledger()
    ledger.fails = OSError("the store is away")
    usage = counter(ledger)
    usage.answered("acme", "search", [READ])
    assert not await usage.flush()
    assert (usage.problem, usage.kept) == ("OSError: the store is away", 1)
    usage.answered("acme", "search", [READ])
    ledger.fails = None
    assert await usage.flush()
    assert (usage.problem, usage.kept) == (None, 0)
    assert ledger.rows == [Usage("acme", "search", DAY, requests=2, tokens=20, cost=1.0)]


async def test_work_for_a_request_that_was_not_answered_counts_as_tokens_alone() -> None:
    ledger = Ledger()
    usage = counter(ledger)
    usage.abandoned("acme", "search", [READ, SHORT])
    await usage.flush()
    assert ledger.rows == [Usage("acme", "search", DAY, requests=0, degraded=0, tokens=10, cost=0.5)]


async def test_memory_is_bounded_while_the_store_is_away() -> None:
    ledger = Ledger()
    ledger.fails = OSError("the store is away")
    usage = counter(ledger, most_rows=2)
    for number in range(5):
        usage.answered("acme", f"search-{number}", [READ])
        await usage.flush()
    ledger.fails = None
    await usage.flush()
    assert ledger.rows == [
        Usage("acme", "search-0", DAY, requests=1, tokens=10, cost=0.5),
        Usage("acme", "search-1", DAY, requests=1, tokens=10, cost=0.5),
        Usage("other", "other", DAY, requests=3, tokens=30, cost=1.5),
    ]


async def test_what_is_left_is_added_at_the_end() -> None:
    ledger = Ledger()
    usage = counter(ledger, every=3600)
    usage.start()
    usage.answered("acme", "search", [READ])
    await usage.aclose()
    assert [row.tokens for row in ledger.rows] == [10]


async def test_it_is_added_without_being_asked() -> None:
    added = asyncio.Event()
    loop = asyncio.get_running_loop()
    usage = UsageCounter(lambda _rows: loop.call_soon_threadsafe(added.set), every=0.001)
    usage.start()
    usage.answered("acme", "search", [READ])
    await added.wait()
    await usage.aclose()


async def test_a_flush_that_is_cut_short_adds_once() -> None:
    ledger, began, go_on = Ledger(), threading.Event(), threading.Event()

    def add(rows: Sequence[Usage]) -> None:
        began.set()
        go_on.wait()
        ledger.add(rows)

    usage = UsageCounter(add, day=lambda: DAY)
    usage.answered("acme", "search", [READ])
    cut_short = asyncio.create_task(usage.flush())
    await asyncio.to_thread(began.wait)
    cut_short.cancel()
    await asyncio.wait([cut_short])
    go_on.set()
    await usage.aclose()
    assert [row.tokens for row in ledger.rows] == [10]


async def test_threads_count_together() -> None:
    ledger = Ledger()
    usage = counter(ledger)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: usage.answered("acme", "search", [READ]), range(400)))
    await usage.flush()
    assert ledger.rows[0].requests == 400


def test_a_day_is_written_as_iso_does() -> None:
    year, month, day = utc_day().split("-")
    assert (len(year), len(month), len(day)) == (4, 2, 2)

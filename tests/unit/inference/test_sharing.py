"""Requests share batches: each has its own results, its own errors, and nothing runs that nobody waits for."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from cascade.budget import Account, Budget, Priority
from cascade.errors import StageError
from cascade.inference.batcher import ModelQueue, QueueOptions
from cascade.inference.job import Job, tell
from cascade.inference.rows import Lane, Rows
from cascade.inference.stepwise import AbandonedError, Stepwise
from tests.unit.inference.gates import A, B, Gate, budget_of, held

LOW = Account("low", priority=Priority.LOW)


class Shouter:
    """A model that shouts what it reads, and keeps what it read together."""

    def __init__(self, most_tokens: int = 8) -> None:
        self.batches: list[list[str]] = []
        self.lane = Lane(self.read, most_tokens)

    def read(self, rows: Sequence[str]) -> list[str]:
        self.batches.append(list(rows))
        if "poison" in rows:
            raise ZeroDivisionError
        if "exit" in rows:
            raise SystemExit
        return [row.upper() for row in rows]

    def rows(self, *words: str) -> Rows[str, str]:
        return Rows(self.lane, words, [len(word) for word in words])

    def work(self, *words: str) -> Any:
        def work() -> Stepwise[list[str]]:
            yield (asked := self.rows(*words))
            return asked.results

        return work


async def together(queue: ModelQueue, *calls: tuple[Any, Account]) -> list[Any]:
    """What becomes of calls that all wait before the first is served."""
    gate, first = await held(queue)
    tasks = [asyncio.create_task(queue.run(work, budget=budget_of(account), tokens=4)) for work, account in calls]
    await asyncio.sleep(0)
    gate.released.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    await first
    return [one if isinstance(one, BaseException) else one[0] for one in found]


async def test_callers_share_a_batch_and_each_has_its_own_results() -> None:
    queue, model = ModelQueue("m"), Shouter()
    assert await together(
        queue, (model.work("a", "bb"), A), (model.work("ccc"), B), (model.work("dd", "e"), Account("c"))
    ) == [["A", "BB"], ["CCC"], ["DD", "E"]]
    assert [sorted(batch) for batch in model.batches] == [["a", "bb", "ccc", "dd"], ["e"]]
    await queue.aclose()
    assert queue.load.waiting_tokens == 0


async def test_rows_that_fail_fail_their_owner_alone() -> None:
    queue, model = ModelQueue("m"), Shouter(20)
    found = await together(queue, (model.work("a"), A), (model.work("poison"), B), (model.work("b"), A))
    assert found[0] == ["A"]
    assert isinstance(found[1], ZeroDivisionError)
    assert found[2] == ["B"]
    assert model.batches == [["a", "poison", "b"], ["a"], ["poison"], ["b"]]
    await queue.aclose()


async def test_rows_that_fail_alone_are_not_run_again() -> None:
    queue, model = ModelQueue("m"), Shouter(20)
    with pytest.raises(ZeroDivisionError):
        await queue.run(model.work("poison"), budget=Budget())
    assert model.batches == [["poison"]]
    await queue.aclose()


async def test_work_may_outlive_the_failure_of_its_rows() -> None:
    queue, model = ModelQueue("m"), Shouter(20)

    def work() -> Stepwise[list[str]]:
        try:
            yield model.rows("poison")
        except ZeroDivisionError:
            yield (asked := model.rows("remedy"))
        return asked.results

    assert (await queue.run(work, budget=Budget()))[0] == ["REMEDY"]
    await queue.aclose()


async def test_a_batch_holds_nothing_of_a_lower_class() -> None:
    queue, model = ModelQueue("m"), Shouter(20)
    assert await together(queue, (model.work("low"), LOW), (model.work("a"), A)) == [["LOW"], ["A"]]
    assert model.batches == [["a"], ["low"]]
    await queue.aclose()


async def test_a_plain_queue_shares_batches_in_order_of_arrival() -> None:
    queue, model = ModelQueue("m", QueueOptions(fair=False)), Shouter(6)
    await together(queue, (model.work("low"), LOW), (model.work("a"), A), (model.work("bbb"), B))
    assert model.batches == [["low", "a"], ["bbb"]]
    await queue.aclose()


async def test_rows_whose_caller_goes_while_the_batch_is_filled_are_not_run() -> None:
    queue, model = ModelQueue("m"), Shouter(20)
    loop, tasks = asyncio.get_running_loop(), dict[str, "asyncio.Task[Any]"]()
    gone = threading.Event()

    def leave() -> None:
        tasks["goes"].cancel()
        loop.call_soon(gone.set)

    def work() -> Stepwise[list[str]]:
        loop.call_soon_threadsafe(leave)
        assert gone.wait(10)
        yield (asked := model.rows("stays"))
        return asked.results

    gate, first = await held(queue)
    for name, what in (("goes", model.work("goes")), ("stays", work)):
        tasks[name] = asyncio.create_task(queue.run(what, budget=Budget()))
    await asyncio.sleep(0)
    gate.released.set()
    assert (await tasks["stays"])[0] == ["STAYS"]
    await first
    assert tasks["goes"].cancelled()
    assert model.batches == [["stays"]]
    await queue.aclose()


async def test_work_whose_time_is_up_between_two_batches_has_what_was_run() -> None:
    queue, model, gate = ModelQueue("m"), Shouter(4), Gate()
    entered, go_on = threading.Event(), threading.Event()

    def hold(rows: Sequence[str]) -> list[str]:
        entered.set()
        assert go_on.wait(10)
        return model.read(rows)

    model.lane = Lane(hold, 4)

    def work() -> Stepwise[list[str]]:
        try:
            yield (asked := model.rows("cc", "aaaa", "bbb"))
        except AbandonedError:
            return asked.results
        return []

    call = asyncio.create_task(queue.run(work, budget=budget_of(LOW, 0.2)))
    assert await asyncio.to_thread(entered.wait, 10)
    first = asyncio.create_task(queue.run(gate, budget=Budget()))
    await asyncio.sleep(0)
    go_on.set()
    assert (await call)[0] == [None, "AAAA", None]
    gate.released.set()
    await first
    await queue.aclose()


async def test_work_may_ask_for_steps_and_rows_by_turns_and_for_none() -> None:
    queue, model = ModelQueue("m"), Shouter()

    def work() -> Stepwise[list[str]]:
        yield model.rows()
        yield 3
        yield (asked := model.rows("a", "a long row"))
        yield 3
        yield model.rows()
        return asked.results

    assert (await queue.run(work, budget=Budget()))[0] == ["A", "A LONG ROW"]
    assert model.batches == [["a long row"], ["a"]]
    await queue.aclose()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_worker_that_is_made_to_exit_in_a_batch_leaves_nobody_waiting() -> None:
    queue, model = ModelQueue("m"), Shouter(20)
    found = await together(queue, (model.work("exit"), A), (model.work("a"), B), (model.work("low"), LOW))
    assert [type(one) for one in found] == [StageError] * 3
    assert not queue.alive
    await queue.aclose()


async def test_the_callers_of_a_batch_are_woken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    wakes: list[Any] = []
    wake = loop.call_soon_threadsafe

    def counted(*what: Any) -> asyncio.Handle:
        wakes.append(what)
        return wake(*what)

    monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
    jobs = [Job(lambda: 7, Budget(), loop) for _ in range(5)]
    for job in jobs[:4]:
        job.pick_up()
    tell(jobs)
    assert len(wakes) == 1
    assert [(await job.future)[0] for job in jobs[:4]] == [7] * 4
    assert not jobs[4].future.done()

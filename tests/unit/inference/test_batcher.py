"""The queue in front of a model takes turns, drops what nobody waits for and outlives what fails."""

import asyncio
import os
import sys
import threading
from functools import partial

import pytest

from cascade.budget import Account, Budget, Priority
from cascade.errors import OverloadedError, StageError
from cascade.inference.batcher import ModelQueue
from cascade.inference.line import Reason
from cascade.inference.stepwise import AbandonedError, Stepwise


class Gate:
    """Work that holds the worker until it is let go."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.released = threading.Event()

    def __call__(self) -> str:
        self.entered.set()
        assert self.released.wait(10)
        return "done"


async def held(queue: ModelQueue) -> tuple[Gate, "asyncio.Task[tuple[str, float]]"]:
    gate = Gate()
    task = asyncio.create_task(queue.run(gate, budget=Budget()))
    await asyncio.to_thread(gate.entered.wait, 10)
    return gate, task


async def test_work_runs_in_another_thread_and_says_how_long_it_waited() -> None:
    queue = ModelQueue("m")
    thread, waited = await queue.run(lambda: threading.current_thread(), budget=Budget())
    assert thread is not threading.current_thread()
    assert waited >= 0
    await queue.aclose()


async def test_an_error_reaches_its_caller_and_the_worker_goes_on() -> None:
    queue = ModelQueue("m")

    def broken() -> None:
        raise ZeroDivisionError("in the model")

    with pytest.raises(ZeroDivisionError, match="in the model"):
        await queue.run(broken, budget=Budget())
    assert (await queue.run(lambda: 7, budget=Budget()))[0] == 7
    assert queue.alive
    await queue.aclose()


async def test_work_whose_caller_has_gone_is_dropped_before_it_runs() -> None:
    queue = ModelQueue("m")
    gate, first = await held(queue)
    ran: list[str] = []
    second = asyncio.create_task(queue.run(lambda: ran.append("second"), budget=Budget()))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    gate.released.set()
    await first
    await queue.run(lambda: ran.append("third"), budget=Budget())
    assert ran == ["third"]
    await queue.aclose()


async def test_work_whose_budget_ran_out_while_it_waited_is_dropped_before_it_runs() -> None:
    queue = ModelQueue("m")
    gate, first = await held(queue)
    ran: list[str] = []
    second = asyncio.create_task(queue.run(lambda: ran.append("second"), budget=Budget.of(0.001)))
    await asyncio.sleep(0.01)
    gate.released.set()
    with pytest.raises(TimeoutError):
        await second
    await first
    assert ran == []
    await queue.aclose()


async def test_a_full_queue_refuses_at_once() -> None:
    queue = ModelQueue("m", max_waiting=1)
    gate, first = await held(queue)
    second = asyncio.create_task(queue.run(lambda: 2, budget=Budget()))
    await asyncio.sleep(0)
    with pytest.raises(OverloadedError, match="'m'") as caught:
        await queue.run(lambda: 3, budget=Budget())
    assert caught.value.retry_after > 0
    gate.released.set()
    await first
    assert (await second)[0] == 2
    await queue.aclose()


async def test_closing_answers_what_waits_and_takes_no_more() -> None:
    queue = ModelQueue("m")
    gate, first = await held(queue)
    second = asyncio.create_task(queue.run(lambda: 2, budget=Budget()))
    await asyncio.sleep(0)
    closing = asyncio.create_task(queue.aclose())
    with pytest.raises(OverloadedError):
        await second
    gate.released.set()
    assert (await first)[0] == "done"
    await closing
    assert not queue.alive
    with pytest.raises(OverloadedError):
        await queue.run(lambda: 3, budget=Budget())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_worker_that_is_made_to_exit_leaves_nobody_waiting() -> None:
    queue = ModelQueue("m")
    gate, first = await held(queue)

    def leave() -> None:
        raise SystemExit

    calls = [asyncio.create_task(queue.run(work, budget=Budget())) for work in (leave, lambda: None)]
    await asyncio.sleep(0)
    gate.released.set()
    await first
    for call in calls:
        with pytest.raises(StageError, match="worker thread has ended"):
            await asyncio.wait_for(call, 10)
    with pytest.raises(StageError, match="worker thread has ended"):
        await asyncio.wait_for(queue.run(lambda: None, budget=Budget()), 10)
    assert not queue.alive
    await queue.aclose()


A, B = Account("a"), Account("b")


class Steps:
    """Stepwise work that tells when a step begins and waits until it may end."""

    def __init__(self, log: list[str], name: str, count: int = 3, tokens: int = 10) -> None:
        self.log = log
        self.name = name
        self.count = count
        self.tokens = tokens
        self.entered = threading.Semaphore(0)
        self.released = threading.Semaphore(0)

    def __call__(self) -> Stepwise[str]:
        for _ in range(self.count):
            yield self.tokens
            self.log.append(self.name)
            self.entered.release()
            assert self.released.acquire(timeout=10)
        return self.name

    async def begun(self) -> None:
        assert await asyncio.to_thread(self.entered.acquire, timeout=10)

    def go_on(self, steps: int = 100) -> None:
        self.released.release(steps)


def budget_of(account: Account, seconds: float | None = None) -> Budget:
    budget = Budget.of(seconds)
    return Budget(budget.deadline, budget.clock, account)


async def test_a_short_job_overtakes_the_rest_of_another_accounts_long_one() -> None:
    queue, log = ModelQueue("m"), list[str]()
    long, short = Steps(log, "long", 5), Steps(log, "short", 1)
    first = asyncio.create_task(queue.run(long, budget=budget_of(A), tokens=50))
    await long.begun()
    second = asyncio.create_task(queue.run(short, budget=budget_of(B), tokens=10))
    await asyncio.sleep(0)
    for steps in (long, short):
        steps.go_on()
    assert (await second)[0] == "short"
    result, waited = await first
    assert (result, log) == ("long", ["long", "short", "long", "long", "long", "long"])
    assert waited > 0
    await queue.aclose()


async def test_a_job_of_a_higher_class_goes_before_what_came_earlier() -> None:
    queue, log = ModelQueue("m"), list[str]()
    gate, held_up = await held(queue)
    calls = [
        asyncio.create_task(queue.run(partial(log.append, name), budget=budget_of(account)))
        for name, account in (
            ("shadow", Account("a", priority=Priority.SHADOW)),
            ("normal", A),
            ("high", Account("c", priority=Priority.HIGH)),
        )
    ]
    await asyncio.sleep(0)
    gate.released.set()
    await asyncio.gather(held_up, *calls)
    assert log == ["high", "normal", "shadow"]
    await queue.aclose()


async def test_within_an_account_the_nearer_deadline_goes_first() -> None:
    queue, log = ModelQueue("m"), list[str]()
    gate, held_up = await held(queue)
    calls = [
        asyncio.create_task(queue.run(partial(log.append, str(seconds)), budget=budget_of(A, seconds)))
        for seconds in (None, 300, 100, 200)
    ]
    await asyncio.sleep(0)
    gate.released.set()
    await asyncio.gather(held_up, *calls)
    assert log == ["100", "200", "300", "None"]
    await queue.aclose()


async def test_a_plain_queue_runs_each_job_to_its_end_in_order_of_arrival() -> None:
    queue, log = ModelQueue("m", fair=False), list[str]()
    long, short = Steps(log, "long", 3), Steps(log, "short", 1)
    first = asyncio.create_task(queue.run(long, budget=budget_of(A)))
    await long.begun()
    second = asyncio.create_task(queue.run(short, budget=budget_of(B, 10)))
    third = asyncio.create_task(
        queue.run(lambda: log.append("high"), budget=budget_of(Account(priority=Priority.HIGH)))
    )
    await asyncio.sleep(0)
    for steps in (long, short):
        steps.go_on()
    await asyncio.gather(first, second, third)
    assert log == ["long", "long", "long", "short", "high"]
    await queue.aclose()


async def test_a_cancelled_job_stops_after_the_step_in_hand() -> None:
    queue, log = ModelQueue("m"), list[str]()
    long = Steps(log, "long", 100)
    task = asyncio.create_task(queue.run(long, budget=Budget()))
    await long.begun()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    long.go_on()
    await queue.run(lambda: log.append("next"), budget=Budget())
    assert log == ["long", "next"]
    await queue.aclose()
    assert queue.load.waiting_tokens == 0


async def test_a_cancelled_job_that_waits_for_its_turn_is_ended_at_once() -> None:
    queue = ModelQueue("m")
    began, ended = threading.Event(), threading.Event()

    def work() -> Stepwise[None]:
        try:
            while True:
                yield 10
                began.set()
        finally:
            ended.set()

    waiting = asyncio.create_task(queue.run(work, budget=budget_of(Account(priority=Priority.LOW))))
    await asyncio.to_thread(began.wait, 10)
    gate, first = await held(queue)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended.is_set()
    assert sum(b.tokens for b in queue.load.backlogs if b.account.priority is Priority.LOW) == 0
    gate.released.set()
    await first
    await queue.aclose()


async def test_work_whose_time_is_up_while_it_waits_for_its_turn_answers_what_it_has() -> None:
    queue = ModelQueue("m")
    began = threading.Event()

    def work() -> Stepwise[int]:
        steps = 0
        try:
            while True:
                yield 10
                steps += 1
                began.set()
        except AbandonedError:
            return steps

    low = budget_of(Account(priority=Priority.LOW), 0.2)
    waiting = asyncio.create_task(queue.run(work, budget=low))
    await asyncio.to_thread(began.wait, 10)
    gate, first = await held(queue)
    assert (await waiting)[0] > 0
    assert not low.expired
    gate.released.set()
    await first
    await queue.aclose()


async def test_an_account_is_charged_the_tokens_that_its_steps_say() -> None:
    queue, log = ModelQueue("m"), list[str]()
    gate, first = await held(queue)
    jobs = [Steps(log, name, 1, tokens) for name, tokens in (("dear", 30), ("cheap", 10)) for _ in range(4)]
    calls = []
    for job in jobs:
        job.go_on()
        account = A if job.name == "dear" else B
        calls.append(asyncio.create_task(queue.run(job, budget=budget_of(account), tokens=20)))
    await asyncio.sleep(0)
    gate.released.set()
    await asyncio.gather(first, *calls)
    assert log == ["dear", "cheap", "cheap", "cheap", "dear", "cheap", "dear", "dear"]
    await queue.aclose()


async def test_load_tells_what_waits_for_whom_and_how_long_it_takes() -> None:
    queue = ModelQueue("m", seconds_per_token=lambda: 0.01)
    gate, first = await held(queue)
    call = asyncio.create_task(queue.run(lambda: None, budget=budget_of(A), tokens=99.5))
    await asyncio.sleep(0)
    load = queue.load
    assert load.waiting_tokens == 101  # the gate's one is still in hand
    assert load.ahead(A) == 101
    assert load.ahead(B, 10) == 11
    assert load.seconds_per_token == 0.01
    assert load.oldest_wait > 0
    gate.released.set()
    await asyncio.gather(first, call)
    await queue.aclose()
    assert queue.load.waiting_tokens == 0


async def test_a_refusal_says_when_there_may_be_room() -> None:
    queue = ModelQueue("m", max_waiting=1, seconds_per_token=lambda: 0.01)
    gate, first = await held(queue)
    second = asyncio.create_task(queue.run(lambda: 2, budget=budget_of(A), tokens=500))
    await asyncio.sleep(0)
    with pytest.raises(OverloadedError) as caught:
        await queue.run(lambda: 3, budget=budget_of(A), tokens=500)
    assert caught.value.retry_after == pytest.approx(5.01)
    gate.released.set()
    await asyncio.gather(first, second)
    await queue.aclose()


async def test_who_has_filled_a_queue_makes_room_for_another() -> None:
    queue = ModelQueue("m", max_waiting=2)
    gate, first = await held(queue)
    greedy = [asyncio.create_task(queue.run(lambda: 1, budget=budget_of(A))) for _ in range(2)]
    await asyncio.sleep(0)
    other = asyncio.create_task(queue.run(lambda: 2, budget=budget_of(B)))
    with pytest.raises(OverloadedError):
        await greedy[1]
    gate.released.set()
    assert (await greedy[0])[0] == 1
    assert (await other)[0] == 2
    await first
    await queue.aclose()


async def test_what_stands_too_long_in_a_queue_is_refused_and_told() -> None:
    told: list[tuple[str, int, str]] = []
    now = [1000.0]
    queue = ModelQueue("m", on_change=lambda *change: told.append(change), clock=lambda: now[0])
    waits = [Steps([], str(n), 1) for n in range(3)]
    first = asyncio.create_task(queue.run(waits[0], budget=budget_of(A, 100)))
    await waits[0].begun()
    patient = Budget(1100.0, lambda: now[0], A)
    rest = [asyncio.create_task(queue.run(lambda: 7, budget=patient, tokens=5)) for _ in range(3)]
    for steps, seconds in ((waits[1], 60.0), (waits[2], 1.0)):
        urgent = asyncio.create_task(queue.run(steps, budget=budget_of(Account("b", priority=Priority.HIGH))))
        await asyncio.sleep(0)
        now[0] += seconds
        waits[waits.index(steps) - 1].go_on()
        await steps.begun()
    waits[2].go_on()
    for call in rest[:2]:
        with pytest.raises(OverloadedError, match="'m'"):
            await call
    assert (await rest[2])[0] == 7
    await asyncio.gather(first, urgent)
    await queue.aclose()
    assert [change[2] for change in told if change[2]] == [Reason.STANDING] * 2
    assert {change[0] for change in told} == {"m"}
    assert told[-1][1] == 0
    assert max(change[1] for change in told) >= 15


@pytest.mark.parametrize("permitted", [True, False])
async def test_the_worker_lets_the_event_loop_go_first_where_it_may(
    permitted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_to: list[tuple[int, int]] = []

    def set_priority(_kind: int, thread: int, niceness: int) -> None:
        set_to.append((thread, niceness))
        if not permitted:
            raise PermissionError

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "setpriority", set_priority, raising=False)
    queue = ModelQueue("m")
    thread, _ = await queue.run(threading.get_native_id, budget=Budget())
    ((found, niceness),) = set_to
    assert found == thread
    assert niceness > os.getpriority(os.PRIO_PROCESS, 0)
    await queue.aclose()

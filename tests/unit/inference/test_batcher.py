"""The queue in front of a model drops what nobody waits for, outlives what fails, and says how much waits."""

import asyncio
import gc
import os
import sys
import threading
import weakref
from contextlib import suppress
from functools import partial

import pytest

from cascade.budget import Account, Budget, Priority
from cascade.errors import OverloadedError, StageError
from cascade.inference.batcher import ModelQueue, QueueOptions
from cascade.inference.line import Reason
from tests.unit.inference.gates import A, B, Steps, budget_of, held


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


@pytest.mark.parametrize("seconds", [60.0, 0.005], ids=["answered", "too late"])
async def test_nothing_of_finished_work_waits_for_the_garbage_collector(seconds: float) -> None:
    queue = ModelQueue("m")
    gate, first = await held(queue)
    gc.collect()
    gc.disable()
    try:
        documents = threading.Event()  # any object will do
        seen = weakref.ref(documents)
        second = asyncio.create_task(queue.run(partial(str, documents), budget=Budget.of(seconds)))
        del documents
        await asyncio.sleep(0.01)
        gate.released.set()
        with suppress(TimeoutError):
            await second
        del second
        await queue.run(lambda: None, budget=Budget())  # the worker's thread has let go of it too
        assert seen() is None
    finally:
        gc.enable()
    await first
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
    queue = ModelQueue("m", QueueOptions(max_waiting=1))
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


async def test_a_thread_that_cannot_be_started_is_an_error_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_more(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    queue = ModelQueue("m")
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_more)
        with pytest.raises(StageError, match="could not be started"):
            await queue.run(lambda: 1, budget=Budget())
    assert queue.idle
    assert (await queue.run(lambda: 2, budget=Budget()))[0] == 2
    await queue.aclose()


async def test_load_tells_what_waits_for_whom_and_how_long_it_takes() -> None:
    queue = ModelQueue("m", QueueOptions(seconds_per_token=lambda: 0.01))
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
    queue = ModelQueue("m", QueueOptions(max_waiting=1, seconds_per_token=lambda: 0.01))
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
    queue = ModelQueue("m", QueueOptions(max_waiting=2))
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
    queue = ModelQueue("m", QueueOptions(on_change=lambda *change: told.append(change), clock=lambda: now[0]))
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

"""The queue in front of a model drops what nobody waits for and outlives what fails."""

import asyncio
import threading

import pytest

from cascade.budget import Budget
from cascade.errors import OverloadedError, StageError
from cascade.inference.batcher import AbandonedError, ModelQueue, Stop


class Gate:
    """Work that holds the worker until it is let go."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.released = threading.Event()

    def __call__(self, _stop: Stop) -> str:
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
    thread, waited = await queue.run(lambda _stop: threading.current_thread(), budget=Budget())
    assert thread is not threading.current_thread()
    assert waited >= 0
    await queue.aclose()


async def test_an_error_reaches_its_caller_and_the_worker_goes_on() -> None:
    queue = ModelQueue("m")

    def broken(_stop: Stop) -> None:
        raise ZeroDivisionError("in the model")

    with pytest.raises(ZeroDivisionError, match="in the model"):
        await queue.run(broken, budget=Budget())
    assert (await queue.run(lambda _stop: 7, budget=Budget()))[0] == 7
    assert queue.alive
    await queue.aclose()


async def test_work_whose_caller_has_gone_is_dropped_before_it_runs() -> None:
    queue = ModelQueue("m")
    gate, first = await held(queue)
    ran: list[str] = []
    second = asyncio.create_task(queue.run(lambda _stop: ran.append("second"), budget=Budget()))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    gate.released.set()
    await first
    await queue.run(lambda _stop: ran.append("third"), budget=Budget())
    assert ran == ["third"]
    await queue.aclose()


async def test_work_whose_budget_ran_out_while_it_waited_is_dropped_before_it_runs() -> None:
    queue = ModelQueue("m")
    gate, first = await held(queue)
    ran: list[str] = []
    second = asyncio.create_task(queue.run(lambda _stop: ran.append("second"), budget=Budget.of(0.001)))
    await asyncio.sleep(0.01)
    gate.released.set()
    with pytest.raises(TimeoutError):
        await second
    await first
    assert ran == []
    await queue.aclose()


async def test_work_is_told_to_stop_when_its_caller_goes() -> None:
    queue = ModelQueue("m")
    entered, stopped = threading.Event(), threading.Event()

    def work(stop: Stop) -> None:
        entered.set()
        while not stop():
            pass
        stopped.set()
        raise AbandonedError

    task = asyncio.create_task(queue.run(work, budget=Budget()))
    await asyncio.to_thread(entered.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(stopped.wait, 10)
    await queue.aclose()


async def test_a_full_queue_refuses_at_once() -> None:
    queue = ModelQueue("m", max_waiting=1)
    gate, first = await held(queue)
    second = asyncio.create_task(queue.run(lambda _stop: 2, budget=Budget()))
    await asyncio.sleep(0)
    with pytest.raises(OverloadedError, match="'m'") as caught:
        await queue.run(lambda _stop: 3, budget=Budget())
    assert caught.value.retry_after > 0
    gate.released.set()
    await first
    assert (await second)[0] == 2
    await queue.aclose()


async def test_closing_answers_what_waits_and_takes_no_more() -> None:
    queue = ModelQueue("m")
    gate, first = await held(queue)
    second = asyncio.create_task(queue.run(lambda _stop: 2, budget=Budget()))
    await asyncio.sleep(0)
    closing = asyncio.create_task(queue.aclose())
    with pytest.raises(OverloadedError):
        await second
    gate.released.set()
    assert (await first)[0] == "done"
    await closing
    assert not queue.alive
    with pytest.raises(OverloadedError):
        await queue.run(lambda _stop: 3, budget=Budget())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_worker_that_is_made_to_exit_leaves_nobody_waiting() -> None:
    queue = ModelQueue("m")
    gate, first = await held(queue)

    def leave(_stop: Stop) -> None:
        raise SystemExit

    calls = [asyncio.create_task(queue.run(work, budget=Budget())) for work in (leave, lambda _stop: None)]
    await asyncio.sleep(0)
    gate.released.set()
    await first
    for call in calls:
        with pytest.raises(StageError, match="worker thread has ended"):
            await asyncio.wait_for(call, 10)
    with pytest.raises(StageError, match="worker thread has ended"):
        await asyncio.wait_for(queue.run(lambda _stop: None, budget=Budget()), 10)
    assert not queue.alive
    await queue.aclose()

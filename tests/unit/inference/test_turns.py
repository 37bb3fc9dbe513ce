"""A queue takes turns: who goes first, and what becomes of work that is stopped between two steps."""

import asyncio
import threading
from functools import partial

import pytest

from cascade.budget import Account, Budget, Priority
from cascade.inference.batcher import ModelQueue, QueueOptions
from cascade.inference.stepwise import AbandonedError, Stepwise
from tests.unit.inference.gates import A, B, Steps, budget_of, held


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
    queue, log = ModelQueue("m", QueueOptions(fair=False)), list[str]()
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

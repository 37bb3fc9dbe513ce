"""Work that a test holds up and lets go, to see what a queue does meanwhile."""

import asyncio
import threading

from cascade.budget import Account, Budget
from cascade.inference.batcher import ModelQueue
from cascade.inference.stepwise import Stepwise


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

"""Time that can only shrink: how long a stage may still take, and on whose account."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TypeVar

T = TypeVar("T")
Clock = Callable[[], float]


class Priority(IntEnum):
    """Whose work goes first; a class runs only while no lower number waits."""

    HIGH = 0
    NORMAL = 1
    LOW = 2
    SHADOW = 3


@dataclass(frozen=True, slots=True)
class Account:
    """On whose account work is done: a model that is busy serves accounts of a class in proportion to their weights."""

    name: str = ""
    weight: float = 1.0
    priority: Priority = Priority.NORMAL


@dataclass(frozen=True, slots=True)
class Budget:
    """A point on `clock` (seconds) after which work is no longer wanted; no share of it outlives it."""

    deadline: float = math.inf
    clock: Clock = time.monotonic
    account: Account = Account()

    @staticmethod
    def of(seconds: float | None, clock: Clock = time.monotonic, account: Account = Account()) -> Budget:
        """`seconds` from now, or no limit for None."""
        return Budget(math.inf if seconds is None else clock() + seconds, clock, account)

    @property
    def remaining(self) -> float:
        """Seconds left, never below zero; infinity without a limit."""
        return max(0.0, self.deadline - self.clock())

    @property
    def expired(self) -> bool:
        """Whether no time is left."""
        return self.clock() >= self.deadline

    @property
    def timeout(self) -> float | None:
        """Seconds left in the form that asyncio's timeouts take: None without a limit."""
        return None if math.isinf(self.deadline) else self.remaining

    def share(self, fraction: float) -> Budget:
        """`fraction` of what is left now."""
        if not 0.0 <= fraction <= 1.0:
            raise ValueError(f"a share is between 0 and 1, found {fraction}")
        return self.at_most(self.remaining * fraction)

    def at_most(self, seconds: float | None) -> Budget:
        """This budget cut to `seconds` from now; None leaves it as it is."""
        if seconds is None:
            return self
        return replace(self, deadline=min(self.deadline, self.clock() + seconds))


async def within(budget: Budget, work: Awaitable[T]) -> T:
    """What `work` returns. Raises TimeoutError when the budget ends first; the work is cancelled then."""
    if budget.timeout is None:
        return await work
    async with asyncio.timeout(budget.timeout):
        return await work

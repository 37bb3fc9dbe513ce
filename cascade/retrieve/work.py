"""Blocking searches, off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from cascade.budget import Budget

T = TypeVar("T")


async def in_thread(budget: Budget, search: Callable[[], T]) -> T:
    """The result of `search`, run in a thread. Raises TimeoutError instead of running it when no time is left."""
    if budget.expired:
        raise TimeoutError("the budget was spent before the search began")

    def run() -> T:
        if budget.expired:
            raise TimeoutError("the budget was spent while the search waited for a thread")
        return search()

    return await asyncio.to_thread(run)

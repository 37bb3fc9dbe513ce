"""Waits where a server refuses a question for its load: a judge is in no hurry, and no answer counts as a bad one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from cascade_client import OverloadedError

T = TypeVar("T")

_SHORTEST = 0.05
"""Seconds before a server is asked again, whatever it says."""


async def patiently(ask: Callable[[float], Awaitable[T]], seconds: float) -> T:
    """What `ask` returns, given the time that is left of `seconds`; it is called again after every refusal.

    Raises what `ask` raises, a refusal too where the time does not allow for another try.
    """
    ends = time.monotonic() + seconds
    while True:
        try:
            return await ask(max(0.0, ends - time.monotonic()))
        except OverloadedError as refusal:
            asked = refusal.details.retry_after
            pause = max(_SHORTEST, asked or 0.0)
            if asked is None or time.monotonic() + pause >= ends:  # without a time, a later try is no better
                raise
            await asyncio.sleep(pause)

"""Long walks through messages, off the event loop.

Parsing and writing are one call each, which lets no other thread run wherever it is made, and takes 15 us for 100 KB.
Python that goes through every document takes ten times as long, lets others run, and so is worth a thread once it takes
longer than the 0.1 ms that a thread costs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LARGE_BYTES = 256 * 1024
"""Of a message that is read: as many documents of 1 KB take 0.4 ms."""
LARGE_PARTS = 250
"""Of a message that is made: as many results take 0.4 ms."""


async def walked(large: bool, walk: Callable[[], T]) -> T:
    """What `walk` returns or raises; when `large`, it runs in a thread."""
    return await asyncio.to_thread(walk) if large else walk()

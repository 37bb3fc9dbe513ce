"""Says on standard error what a load test is doing: a bar for each phase on a terminal, a line for each otherwise."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

T = TypeVar("T")


class Narrator:
    """Watches over phases whose length is known beforehand."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)

    def say(self, text: str) -> None:
        """One line."""
        self._console.print(text, soft_wrap=True, markup=False)

    async def during(self, label: str, seconds: float, work: Awaitable[T]) -> T:
        """The result of `work`, with a bar that fills in `seconds`."""
        if not self._console.is_terminal:
            self.say(f"{label}: {seconds:.0f} s")
            return await work
        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task(label, total=seconds)
            started = time.monotonic()
            running = asyncio.ensure_future(work)
            try:
                while not running.done():
                    progress.update(task, completed=min(seconds, time.monotonic() - started))
                    await asyncio.wait({running}, timeout=0.2)
            finally:
                running.cancel()
            return running.result()

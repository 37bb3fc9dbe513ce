"""Notices that the store was changed, by whichever process, and hands the new state over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import structlog

from cascade_server.control.state import State
from cascade_server.control.store import Store

log = structlog.get_logger()


class Watcher:
    """Asks the store every `every` seconds; a store that fails changes nothing, and is asked again.

    `problem` says what is wrong at present, and is None while all is well.
    """

    def __init__(self, store: Store, every: float, changed: Callable[[State], Awaitable[None]]) -> None:
        """`changed` is given each new state, one at a time; of several changes at once, only what they led to."""
        self.problem: str | None = None
        self._store = store
        self._every = every
        self._changed = changed
        self._revision: int | None = None
        self._task: asyncio.Task[None] | None = None
        # Its own thread: whatever else waits for one must not hold up a key that was revoked.
        self._thread = ThreadPoolExecutor(1, "store-watcher")

    def start(self, known: State | None = None) -> None:
        """Begin to ask; `known` is the state that is in force already."""
        self._revision = None if known is None else known.revision
        self._task = asyncio.create_task(self._watch())

    async def poll(self) -> None:
        """Ask once, and hand over the state if it is new. What goes wrong is logged and kept in `problem`."""
        loop = asyncio.get_running_loop()
        try:
            if await loop.run_in_executor(self._thread, self._store.revision) == self._revision:
                self._say(None)
                return
            state = await loop.run_in_executor(self._thread, self._store.state)
            await self._changed(state)
        except Exception as error:  # a watcher that ended would leave the server deaf for good
            self._say(f"{type(error).__name__}: {error}")
            return
        self._revision = state.revision
        self._say(None)
        log.info("state_changed", revision=state.revision)

    async def aclose(self) -> None:
        """Ask no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        self._thread.shutdown(wait=False)

    async def _watch(self) -> None:
        while True:
            await self.poll()
            await asyncio.sleep(self._every)

    def _say(self, problem: str | None) -> None:
        if problem is not None and problem != self.problem:
            log.error("state_not_read", problem=problem)
        elif problem is None and self.problem is not None:
            log.info("state_read_again")
        self.problem = problem

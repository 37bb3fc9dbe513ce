"""Notices that the store was changed, by whichever process, and has this one follow."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import structlog

from cascade_server.control.state import State
from cascade_server.control.store import Store

log = structlog.get_logger()


class Watcher:
    """`state` is what the store said last, known at once; what takes time to follow is done one state after another.

    So a key that was revoked opens nothing, however long a model takes to load. A store that fails changes nothing, and
    is asked again.
    """

    def __init__(self, store: Store, every: float, changed: Callable[[State], Awaitable[None]]) -> None:
        """Asks every `every` seconds. `changed` is given new states one at a time, of several at once only the last."""
        self.state = State()
        self._store = store
        self._every = every
        self._changed = changed
        self._followed: int | None = None
        self._problems: dict[str, str] = {}
        self._watching: asyncio.Task[None] | None = None
        self._following: asyncio.Task[None] | None = None
        self._asking = asyncio.Lock()
        # Its own thread: whatever else waits for one must not hold up a key that was revoked.
        self._thread = ThreadPoolExecutor(1, "store-watcher")

    @property
    def problem(self) -> str | None:
        """What keeps this process from following the store at present."""
        return "; ".join(self._problems.values()) or None

    def start(self, state: State) -> None:
        """Begin to ask; `state` is in force already."""
        self.state, self._followed = state, state.revision
        self._watching = asyncio.create_task(self._watch())

    async def poll(self) -> None:
        """Ask once: when this returns, `state` has every change made before, or `problem` says why not."""
        async with self._asking:
            loop = asyncio.get_running_loop()
            try:
                if await loop.run_in_executor(self._thread, self._store.revision) != self.state.revision:
                    self.state = await loop.run_in_executor(self._thread, self._store.state)
            except Exception as error:  # a watcher that ended would leave the server deaf for good
                self._say("store_not_read", f"{type(error).__name__}: {error}")
            else:
                self._say("store_not_read", None)

    async def follow(self) -> None:
        """Ask, and return once every change made before is in force in this process, or `problem` says why not."""
        await self.poll()
        # Whoever waits may give up; what was begun goes on.
        await asyncio.shield(self._catch_up())

    async def aclose(self) -> None:
        """Ask no more, so that the store can be closed."""
        tasks = {task for task in (self._watching, self._following) if task is not None}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        # A question to the store that is under way holds one of its connections.
        await asyncio.to_thread(self._thread.shutdown)

    async def _watch(self) -> None:
        while True:
            await self.poll()
            if self._followed != self.state.revision:
                self._catch_up()
            await asyncio.sleep(self._every)

    def _catch_up(self) -> asyncio.Task[None]:
        if self._following is None or self._following.done():
            self._following = asyncio.create_task(self._catch_up_with_state())
        return self._following

    async def _catch_up_with_state(self) -> None:
        while self._followed != self.state.revision:
            state = self.state
            try:
                await self._changed(state)
            except Exception as error:  # tried again when the store is asked next
                self._say("state_not_followed", f"{type(error).__name__}: {error}")
                return
            self._followed = state.revision
            self._say("state_not_followed", None)
            log.info("state_followed", revision=state.revision)

    def _say(self, event: str, problem: str | None) -> None:
        before = self._problems.pop(event, None)
        if problem is not None:
            self._problems[event] = problem
        if problem is not None and problem != before:
            log.error(event, problem=problem)
        elif problem is None and before is not None:
            log.info("problem_gone", event_before=event, problem=before)

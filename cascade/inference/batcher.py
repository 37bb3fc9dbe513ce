"""The queue in front of a model: one worker thread that goes from one caller's work to another's, turn by turn."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable
from typing import Any, TypeVar, overload

from cascade.budget import Budget
from cascade.errors import StageError
from cascade.inference.job import Job, Work
from cascade.inference.line import Entry, Reason
from cascade.inference.load import QueueLoad
from cascade.inference.stepwise import Stepwise
from cascade.inference.waiting_room import QueueObserver, QueueOptions, WaitingRoom
from cascade.inference.worker import serve

__all__ = ["ModelQueue", "QueueObserver", "QueueOptions"]

T = TypeVar("T")

_USUAL = QueueOptions()
_WAY_BACK = 0.01
"""Seconds before its deadline at which work that waits for a turn is asked for what it has, so that it arrives."""


class ModelQueue:
    """Runs work for one model, one step or batch at a time, off the event loop, in the order that `FairQueue` says.

    The thread starts with the first call and ends with `aclose()`. Nothing runs whose caller has gone.
    """

    def __init__(self, model: str, options: QueueOptions = _USUAL) -> None:
        self._model = model
        self._clock = options.clock
        self._room = WaitingRoom(model, options)
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    @property
    def alive(self) -> bool:
        """Whether the worker thread runs, or is yet to start."""
        return self._room.open

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return self._room.idle

    @property
    def load(self) -> QueueLoad:
        """What waits, as of now; from any thread."""
        return self._room.load

    @overload
    async def run(self, work: Callable[[], Stepwise[T]], *, budget: Budget, tokens: float = 0.0) -> tuple[T, float]: ...

    @overload
    async def run(self, work: Callable[[], T], *, budget: Budget, tokens: float = 0.0) -> tuple[T, float]: ...

    async def run(self, work: Work[T], *, budget: Budget, tokens: float = 0.0) -> tuple[T, float]:
        """What `work` returns, and the seconds it waited for its turns; `tokens` is how many it may be expected to run.

        The work of an account is charged the tokens that it runs, by its own word, or `tokens` where it does not say.
        Raises OverloadedError when there is no room or the account's work has waited too long, TimeoutError when the
        budget ran out, StageError when there is no worker thread, and what `work` raises.
        """
        if budget.expired:
            raise TimeoutError
        loop = asyncio.get_running_loop()
        job = Job(work, budget, loop)
        entry: Entry[Job[Any]] = Entry(budget.account, max(1, math.ceil(tokens)), self._clock() + budget.remaining, job)
        self._start()
        self._room.enter(entry)
        timer = None
        if (left := budget.timeout) is not None:
            timer = loop.call_later(max(0.9 * left, left - _WAY_BACK), self._room.leave, entry, Reason.EXPIRED)
        try:
            return await job.future
        finally:
            if timer is not None:
                timer.cancel()
            self._room.leave(entry, Reason.DEPARTED)
            del entry, job  # an error that is raised here holds this frame, and they hold the error

    async def aclose(self) -> None:
        """End the worker after the work in hand; what still waits is answered with OverloadedError."""
        self._room.close()
        with self._starting:
            thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.to_thread(thread.join)

    def _start(self) -> None:
        with self._starting:
            if self._thread is not None or not self._room.open:
                return
            thread = threading.Thread(target=serve, args=(self._room,), name=f"model {self._model}", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                problem = f"its worker thread could not be started ({error}); raise the limit of threads, or ask again"
                raise StageError(self._model, problem) from error
            self._thread = thread

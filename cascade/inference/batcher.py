"""The queue in front of a model: one worker thread that goes from one caller's work to another's, step by step."""

from __future__ import annotations

import asyncio
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar, overload

from cascade.budget import Account, Budget, Clock
from cascade.errors import OverloadedError, StageError
from cascade.inference.fair_queue import FairQueue
from cascade.inference.job import Job, Work
from cascade.inference.line import Drop, Entry, Reason
from cascade.inference.load import QueueLoad
from cascade.inference.stepwise import Stepwise

T = TypeVar("T")
QueueObserver = Callable[[str, int, str], None]
"""Told of every change: model, tokens that wait, and why an entry was dropped or nothing."""

_NICENESS = 5
"""How far the worker stands back for the event loop, which must answer while the model computes on every core."""
_WAY_BACK = 0.01
"""Seconds before its deadline at which work that waits for a turn is asked for what it has, so that it arrives."""
_UNKNOWN_RETRY = 1.0
_LEAST_RETRY, _MOST_RETRY = 0.05, 60.0


class ModelQueue:
    """Runs work for one model, one step at a time, off the event loop, in the order that `FairQueue` says.

    The thread starts with the first call and ends with `aclose()`. Nothing runs whose caller has gone.
    """

    def __init__(
        self,
        model: str,
        *,
        fair: bool = True,
        max_waiting: int = 256,
        seconds_per_token: Callable[[], float] = lambda: 0.0,
        on_change: QueueObserver | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._model = model
        self._clock = clock
        self._fair = fair
        self._queue: FairQueue[Job[Any]] = FairQueue(fair=fair, max_entries=max_waiting, clock=clock)
        self._changed = threading.Condition()
        """Held for every use of the queue, and told of what wakes the worker."""
        self._seconds_per_token = seconds_per_token
        self._on_change = on_change
        self._thread: threading.Thread | None = None
        self._closed = False
        self._broken = False

    @property
    def alive(self) -> bool:
        """Whether the worker thread runs, or is yet to start."""
        return not self._closed and not self._broken

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        with self._changed:
            return self._queue.idle

    @property
    def load(self) -> QueueLoad:
        """What waits, as of now; from any thread, and as quick as there are few accounts that wait."""
        with self._changed:
            backlogs, oldest_wait = self._queue.backlogs(), self._queue.oldest_wait
        waiting = sum(backlog.tokens for backlog in backlogs)
        return QueueLoad(waiting, self._seconds_per_token(), oldest_wait, backlogs, self._fair)

    @overload
    async def run(self, work: Callable[[], Stepwise[T]], *, budget: Budget, tokens: float = 0.0) -> tuple[T, float]: ...

    @overload
    async def run(self, work: Callable[[], T], *, budget: Budget, tokens: float = 0.0) -> tuple[T, float]: ...

    async def run(self, work: Work[T], *, budget: Budget, tokens: float = 0.0) -> tuple[T, float]:
        """What `work` returns, and the seconds it waited for its turns; `tokens` is how many it may be expected to run.

        The work of an account is charged the tokens that it runs, by its own word, or `tokens` where it does not say.
        Raises OverloadedError when there is no room or the account's work has waited too long, TimeoutError when the
        budget ran out, StageError when the worker thread has ended, and what `work` raises.
        """
        if budget.expired:
            raise TimeoutError
        loop = asyncio.get_running_loop()
        job = Job(work, budget, loop)
        entry = Entry(budget.account, max(1, math.ceil(tokens)), self._clock() + budget.remaining, job)
        self._submit(entry)
        timer = None
        if (left := budget.timeout) is not None:
            timer = loop.call_later(max(0.9 * left, left - _WAY_BACK), self._last_call, entry, Reason.EXPIRED)
        try:
            return await job.future
        finally:
            if timer is not None:
                timer.cancel()
            self._last_call(entry, Reason.DEPARTED)

    async def aclose(self) -> None:
        """End the worker after the work in hand; what still waits is answered with OverloadedError."""
        with self._changed:
            self._closed = True
            thread, self._thread = self._thread, None
            waiting = self._queue.clear()
            self._changed.notify()
        self._refuse(waiting, OverloadedError(f"model {self._model!r}, which is closing,", _UNKNOWN_RETRY))
        if thread is not None:
            await asyncio.to_thread(thread.join)

    def _submit(self, entry: Entry[Job[Any]]) -> None:
        with self._changed:  # so that nothing is put behind the back of a worker that ends
            if self._closed:
                raise OverloadedError(f"model {self._model!r}, which is closed,", _UNKNOWN_RETRY)
            if self._broken:
                raise self._ended()
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name=f"model {self._model}", daemon=True)
                self._thread.start()
            drops = self._queue.push(entry)
            self._changed.notify()
        self._tell(drops)

    def _last_call(self, entry: Entry[Job[Any]], reason: Reason) -> None:
        """Give the entry no more turns; one that waits is taken out now."""
        entry.item.last_call.set()
        with self._changed:
            waited = self._queue.discard(entry)
        if waited:
            entry.item.abandon()
            self._observe(reason)

    def _serve(self) -> None:
        _stand_back()
        try:
            while (entry := self._next()) is not None:
                self._turn(entry)
        finally:  # a thread that is made to exit leaves nobody waiting
            with self._changed:
                self._broken = True
                waiting = self._queue.clear()
            self._refuse(waiting, self._ended())

    def _next(self) -> Entry[Job[Any]] | None:
        """The entry whose turn it is, once there is one; None to end."""
        while True:
            with self._changed:
                entry, drops = self._queue.take()
                if entry is None and not drops:
                    if self._closed:
                        return None
                    self._changed.wait()
                    continue
            self._tell(drops)
            if entry is not None:
                return entry

    def _turn(self, entry: Entry[Job[Any]]) -> None:
        job = entry.item
        try:
            tokens = job.turn()
        except BaseException:  # the thread is made to exit
            job.refuse(self._ended())
            raise
        with self._changed:
            self._queue.charge(entry, entry.tokens if tokens is None else tokens)
            if job.ended:
                self._queue.end(entry)
            else:
                self._queue.put_back(entry)
        self._observe()

    def _tell(self, drops: Sequence[Drop[Job[Any]]]) -> None:
        """Answer those whose entries were dropped."""
        for drop in drops:
            self._observe(drop.reason)
            if drop.reason is Reason.EXPIRED:
                drop.entry.item.abandon()
            else:
                what = f"the queue of model {self._model!r}"
                drop.entry.item.refuse(OverloadedError(what, self._retry_after(drop.entry.account)))
        if not drops:
            self._observe()

    def _retry_after(self, account: Account) -> float:
        """Seconds until what is ahead of that account will have been done."""
        seconds = self.load.seconds(account, 0)
        return min(max(seconds, _LEAST_RETRY), _MOST_RETRY) if seconds else _UNKNOWN_RETRY

    def _refuse(self, entries: Sequence[Entry[Job[Any]]], error: Exception) -> None:
        for entry in entries:
            entry.item.refuse(error)

    def _ended(self) -> StageError:
        return StageError(self._model, "its worker thread has ended; restart the server")

    def _observe(self, dropped: str = "") -> None:
        if self._on_change is not None:
            with self._changed:
                waiting = self._queue.tokens
            self._on_change(self._model, waiting, dropped)


def _stand_back() -> None:
    """Let others go first for the processor: this thread, and those that it will compute with. Linux only."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with suppress(OSError):  # not permitted here
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + _NICENESS)

"""The queue in front of a model: one worker thread, bounded, and nothing runs whose caller has gone."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from cascade.budget import Budget
from cascade.errors import OverloadedError, StageError

T = TypeVar("T")
Stop = Callable[[], bool]


class AbandonedError(Exception):
    """Raised by work that noticed between two batches that nobody waits for it."""


@dataclass(slots=True)
class _Job(Generic[T]):
    work: Callable[[Stop], T]
    budget: Budget
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[tuple[T, float]]
    submitted: float = field(default_factory=time.monotonic)
    gone: threading.Event = field(default_factory=threading.Event)

    def unwanted(self) -> bool:
        return self.gone.is_set() or self.budget.expired


class ModelQueue:
    """Runs work for one model in the order it came, one at a time, off the event loop.

    The thread starts with the first call and ends with `aclose()`; unwanted work is dropped when popped.
    """

    def __init__(self, model: str, *, max_waiting: int = 256) -> None:
        self._model = model
        self._jobs: queue.Queue[_Job[Any] | None] = queue.Queue(max_waiting)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = False
        self._broken = False

    @property
    def alive(self) -> bool:
        """Whether the worker thread runs, or is yet to start."""
        return not self._closed and not self._broken

    async def run(self, work: Callable[[Stop], T], *, budget: Budget) -> tuple[T, float]:
        """What `work` returns, and the seconds it waited.

        `work` is given a function that says whether to stop, to be asked between batches. Raises OverloadedError
        when the queue is full, TimeoutError when the budget ran out before or during the work, StageError when the
        worker thread has ended, and what `work` raises.
        """
        if budget.expired:
            raise TimeoutError
        loop = asyncio.get_running_loop()
        job: _Job[T] = _Job(work, budget, loop, loop.create_future())
        self._submit(job)
        try:
            return await job.future
        finally:
            job.gone.set()

    async def aclose(self) -> None:
        """End the worker after the work in hand; what still waits is answered with OverloadedError."""
        with self._lock:
            self._closed = True
            thread, self._thread = self._thread, None
        if thread is None:
            return
        self._refuse_waiting(OverloadedError(f"model {self._model!r}, which is closing,", retry_after=1.0))
        self._jobs.put(None)
        await asyncio.to_thread(thread.join)

    def _submit(self, job: _Job[Any]) -> None:
        with self._lock:  # so that nothing is put behind the back of a worker that ends
            if self._closed:
                raise OverloadedError(f"model {self._model!r}, which is closed,", retry_after=1.0)
            if self._broken:
                raise self._ended()
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name=f"model {self._model}", daemon=True)
                self._thread.start()
            try:
                self._jobs.put_nowait(job)
            except queue.Full:
                raise OverloadedError(f"the queue of model {self._model!r}", retry_after=1.0) from None

    def _ended(self) -> StageError:
        return StageError(self._model, "its worker thread has ended; restart the server")

    def _refuse_waiting(self, error: Exception) -> None:
        while True:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return
            if job is not None:
                _settle(job, error=error)

    def _serve(self) -> None:
        try:
            self._work_off()
        finally:  # a thread that is made to exit leaves nobody waiting
            with self._lock:
                self._broken = True
            self._refuse_waiting(self._ended())

    def _work_off(self) -> None:
        while (job := self._jobs.get()) is not None:
            if job.unwanted():
                _settle(job, error=TimeoutError())
                continue
            waited = time.monotonic() - job.submitted
            try:
                result = job.work(job.unwanted)
            except AbandonedError:
                _settle(job, error=TimeoutError())
            except Exception as error:
                # Whatever a model raises belongs to its caller; the worker must outlive it.
                _settle(job, error=error)
            except BaseException:  # the thread is made to exit
                _settle(job, error=self._ended())
                raise
            else:
                _settle(job, result=(result, waited))


def _settle(job: _Job[Any], *, result: Any = None, error: Exception | None = None) -> None:
    def tell() -> None:
        if job.future.done():
            return
        if error is None:
            job.future.set_result(result)
        else:
            job.future.set_exception(error)

    with suppress(RuntimeError):  # the loop is closed, and nobody waits
        job.loop.call_soon_threadsafe(tell)

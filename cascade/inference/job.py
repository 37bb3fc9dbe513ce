"""One caller's work in a model's queue: taken step by step, and answered once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from inspect import isgenerator
from typing import Any, Generic, TypeVar, cast

from cascade.budget import Budget
from cascade.inference.rows import Rows
from cascade.inference.shared_batch import SharedBatch, run
from cascade.inference.stepwise import AbandonedError, Stepwise

T = TypeVar("T")
Work = Callable[[], T | Stepwise[T]]
"""Returns the result, as one step, or does it stepwise."""


class Job(Generic[T]):
    """`turn` and `abandon` are called by one thread at a time; whichever first ends the job answers its caller."""

    def __init__(self, work: Work[T], budget: Budget, loop: asyncio.AbstractEventLoop) -> None:
        self.future: asyncio.Future[tuple[T, float]] = loop.create_future()
        self.last_call = threading.Event()
        """Set when it is to have no more turns, because nobody waits for the answer or its time is all but up."""
        self.waited = 0.0
        """Seconds of waiting for turns."""
        self.ended = False
        self._work = work
        self._budget = budget
        self._loop = loop
        self._steps: Stepwise[T] | None = None
        self._coming: int | Rows[Any, Any] = 0
        self._waits_since = time.monotonic()

    def turn(self) -> int | None:
        """Do a step; its tokens, None where the work does not say. Nothing is done that nobody waits for."""
        self.waited += time.monotonic() - self._waits_since
        try:
            return self._step()
        finally:
            if not self.ended and self._unwanted():
                self.abandon()
            self._waits_since = time.monotonic()

    def abandon(self) -> None:
        """Give no more turns: the answer is what the work makes of the steps it had, or TimeoutError."""
        try:
            if self._steps is not None:
                self._steps.throw(AbandonedError())
                self._steps.close()  # it went on as if nothing had happened
        except StopIteration as end:
            self.answer(end.value)
        except AbandonedError:
            self.refuse(TimeoutError())
        except Exception as error:
            self.refuse(error)
        else:
            self.refuse(TimeoutError())

    def answer(self, result: T) -> None:
        """End with a result, from any thread."""
        self._end(lambda: self.future.set_result((result, self.waited)))

    def refuse(self, error: Exception) -> None:
        """End with an error, from any thread."""
        self._end(lambda: self.future.set_exception(error))

    def _unwanted(self) -> bool:
        return self.last_call.is_set() or self._budget.expired

    def _step(self) -> int | None:
        if self._unwanted():
            self.abandon()
            return 0
        tokens = 0
        try:
            if self._steps is None:
                found = self._work()
                if not isgenerator(found):
                    self.answer(cast("T", found))
                    return None
                self._steps = cast("Stepwise[T]", found)
                self._coming = next(self._steps)
            if isinstance(self._coming, int):
                tokens = self._coming
                self._coming = next(self._steps)
            else:
                tokens = self._run_rows(self._steps, self._coming)
        except StopIteration as end:
            self.answer(end.value)
        except AbandonedError:
            self.refuse(TimeoutError())
        except Exception as error:
            # Whatever a model raises belongs to its caller; the worker must outlive it.
            self.refuse(error)
        return tokens

    def _run_rows(self, steps: Stepwise[T], coming: Rows[Any, Any]) -> int:
        """Run one batch of rows, and go on when it was the last."""
        share = SharedBatch(coming.lane).take(coming)
        try:
            if share.places:
                run([share])
        except Exception as error:
            # Whatever a model raises belongs to the work that asked it.
            self._coming = steps.throw(error)
        else:
            if not coming.left:
                self._coming = next(steps)
        return share.tokens

    def _end(self, tell: Callable[[], None]) -> None:
        self.ended = True

        def unless_told() -> None:
            if not self.future.done():
                tell()

        with suppress(RuntimeError):  # the loop is closed, and nobody waits
            self._loop.call_soon_threadsafe(unless_told)

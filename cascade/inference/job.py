"""One caller's work in a model's queue: taken turn by turn, and answered once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from inspect import isgenerator, isgeneratorfunction
from typing import Any, Generic, TypeVar, cast

from cascade.budget import Budget
from cascade.inference.rows import Rows
from cascade.inference.stepwise import AbandonedError, Stepwise

T = TypeVar("T")
Work = Callable[[], T | Stepwise[T]]
"""Returns the result, as one step, or does it stepwise. A generator function can be begun before its turn."""


class Job(Generic[T]):
    """Used by one thread at a time. Whatever ends it first is its outcome, of which `tell` brings its caller word."""

    def __init__(self, work: Work[T], budget: Budget, loop: asyncio.AbstractEventLoop) -> None:
        self.future: asyncio.Future[tuple[T, float]] = loop.create_future()
        self.loop = loop
        self.last_call = False
        """Set, by any thread, when it is to have no more turns: nobody waits for it, or its time is all but up."""
        self.waited = 0.0
        """Seconds of waiting for turns."""
        self.outcome: Callable[[], None] | None = None
        """Gives the future its result or error; None before the end."""
        self._work = work
        self._budget = budget
        self._steps: Stepwise[T] | None = None
        self._coming: int | Rows[Any, Any] = 0
        self._whole = False
        """Whether it was done at once."""
        self._waits_since = time.monotonic()

    @property
    def ended(self) -> bool:
        """Whether there is an outcome."""
        return self.outcome is not None

    @property
    def wanted(self) -> bool:
        """Whether it is to have more turns."""
        return not (self.last_call or self._budget.expired)

    @property
    def may_begin(self) -> bool:
        """Whether it was not begun, and can be without doing a step."""
        return self._steps is None and not self.ended and isgeneratorfunction(self._work)

    @property
    def rows(self) -> Rows[Any, Any] | None:
        """The rows that it waits for, if it waits for rows."""
        return self._coming if isinstance(self._coming, Rows) and not self.ended else None

    def pick_up(self) -> None:
        """Wait no more, and do what comes before the first step: work that is not stepwise is done in whole.

        Nothing is done that nobody waits for.
        """
        self.waited += time.monotonic() - self._waits_since
        if not self.wanted:
            self.abandon()
        elif self._steps is None:
            self._go_on(self._begin)

    def step(self) -> int | None:
        """Do the step that comes, if one does; its tokens, None for work that was not stepwise and does not say."""
        if self._steps is None or self.ended or not isinstance(self._coming, int):
            return None if self._whole else 0
        tokens = self._coming
        self._go_on(partial(next, self._steps))
        return tokens

    def rows_ran(self, error: Exception | None = None) -> None:
        """Some of its rows were run, or failed with an error: it goes on if it waits for no more of them."""
        if self._steps is None or (rows := self.rows) is None:
            return
        if error is not None:
            self._go_on(partial(self._steps.throw, error))
        elif not rows.left:
            self._go_on(partial(next, self._steps))

    def lay_down(self) -> None:
        """Wait again, unless nobody waits for it."""
        if not self.ended and not self.wanted:
            self.abandon()
        self._waits_since = time.monotonic()

    def abandon(self) -> None:
        """Give no more turns: the answer is what the work makes of the steps it had, or TimeoutError."""
        try:
            if self._steps is not None:
                self._steps.throw(AbandonedError())
                self._steps.close()  # it went on as if nothing had happened
        except StopIteration as end:
            self._answer(end.value)
        except AbandonedError:
            self.refuse(TimeoutError())
        except Exception as error:
            self.refuse(error)
        else:
            self.refuse(TimeoutError())

    def refuse(self, error: Exception) -> None:
        """End with an error."""
        self._end(partial(self.future.set_exception, error))

    def _begin(self) -> int | Rows[Any, Any]:
        found = self._work()
        if not isgenerator(found):
            self._whole = True
            self._answer(cast("T", found))
            return 0
        self._steps = cast("Stepwise[T]", found)
        return next(self._steps)

    def _go_on(self, what: Callable[[], int | Rows[Any, Any]]) -> None:
        """Up to the next step, the next rows or the end."""
        try:
            coming = what()
            while isinstance(coming, Rows) and not coming.left and self._steps is not None:
                coming = next(self._steps)
            self._coming = coming
        except StopIteration as end:
            self._answer(end.value)
        except AbandonedError:
            self.refuse(TimeoutError())
        except Exception as error:
            # Whatever a model raises belongs to its caller; the worker must outlive it.
            self.refuse(error)

    def _answer(self, result: T) -> None:
        # Holds the future and not the job, which holds it: a server collects cycles seldom, and until then the
        # documents of one request in seven stayed in memory.
        self._end(partial(self.future.set_result, (result, self.waited)))

    def _end(self, outcome: Callable[[], None]) -> None:
        if self.outcome is None:
            self.outcome = outcome


def tell(jobs: Iterable[Job[Any]]) -> None:
    """Bring the callers of those that have ended the outcome, from any thread and with one wake-up of an event loop."""
    of_loop: dict[asyncio.AbstractEventLoop, list[Job[Any]]] = {}
    for job in jobs:
        if job.ended:
            of_loop.setdefault(job.loop, []).append(job)
    for loop, ended in of_loop.items():
        with suppress(RuntimeError):  # the loop is closed, and nobody waits
            loop.call_soon_threadsafe(_settle, ended)


def _settle(jobs: Iterable[Job[Any]]) -> None:
    for job in jobs:
        if not job.future.done() and job.outcome is not None:
            job.outcome()
        job.outcome = _told  # which holds nothing, where an error would


def _told() -> None:
    """The outcome of a job whose caller has heard of it."""

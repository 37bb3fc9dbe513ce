"""A process that asks a subject: one question after another, many at once, or at moments that are drawn beforehand."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import random
import selectors
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Protocol, Self

import structlog

from cascade.bench.serving.subject import Subject
from cascade.errors import CascadeError


class DriverError(CascadeError):
    """The process ended, or what it asked failed."""


class Spec(Protocol):
    """Says what to ask; it is sent to the process."""

    def make(self) -> Subject:
        """The subject, not open yet."""
        ...


@dataclass(frozen=True, slots=True)
class Closed:
    """So many `requests`, `concurrency` of them at a time; its outcome is the seconds that they took."""

    requests: int
    concurrency: int

    async def obey(self, subject: Subject, number: count[int]) -> float:
        """Ask."""
        begin = time.perf_counter()
        left = iter(range(self.requests))

        async def one() -> None:
            for _ in left:
                await subject.ask(next(number))

        async with asyncio.TaskGroup() as group:
            for _ in range(self.concurrency):
                group.create_task(one())
        return time.perf_counter() - begin


@dataclass(frozen=True, slots=True)
class Open:
    """`rate` requests a second for `seconds`, at moments drawn by `seed`; its outcome is the seconds of each.

    They count from the moment that was drawn: a process that is too busy to begin has somebody wait.
    """

    rate: float
    seconds: float
    seed: int

    async def obey(self, subject: Subject, number: count[int]) -> list[float]:
        """Ask."""
        drawn = random.Random(self.seed)
        found: list[float] = []

        async def one(intended: float) -> None:
            await subject.ask(next(number))
            found.append(time.perf_counter() - intended)

        begin = at = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            while (at := at + drawn.expovariate(self.rate)) < begin + self.seconds:
                await asyncio.sleep(max(0.0, at - time.perf_counter()))
                group.create_task(one(at))
        return found


class Driver:
    """Asks one subject, one order at a time; used as a context, for the length of which its process lives."""

    def __init__(self, spec: Spec) -> None:
        # gRPC does not support forks of a process that has used it.
        context = multiprocessing.get_context("spawn")
        self._orders, self._theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(self._theirs,), name="cascade bench", daemon=True)
        self._spec = spec

    def closed(self, requests: int, concurrency: int) -> float:
        """Seconds that so many requests took. Raises DriverError."""
        found = self._run(Closed(requests, concurrency))
        assert isinstance(found, float)
        return found

    def open(self, rate: float, seconds: float, seed: int) -> list[float]:
        """Seconds that each request took, from when it was due. Raises DriverError."""
        found = self._run(Open(rate, seconds, seed))
        assert isinstance(found, list)
        return found

    def _run(self, order: Spec | Closed | Open) -> object:
        try:
            self._orders.send(order)
            outcome, problem = self._orders.recv()
        except (EOFError, OSError) as error:
            raise DriverError("the process that asks has ended") from error
        if problem:
            raise DriverError(problem)
        return outcome

    def __enter__(self) -> Self:
        self._process.start()
        self._theirs.close()  # or the end of the process could not be seen from here
        try:
            self._run(self._spec)
        except DriverError:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        self._process.kill()
        self._process.join()
        self._orders.close()


def _serve(orders: Connection) -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(file=sys.stderr))  # what is printed is the result
    # Epoll waits whole milliseconds, select does not: requests go out when they should.
    factory: Callable[[], asyncio.AbstractEventLoop] = lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())  # noqa: E731  # typed
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_obey(orders))


async def _obey(orders: Connection) -> None:
    subject: Subject | None = None
    number = count()
    while True:
        try:
            order = await asyncio.to_thread(orders.recv)
        except (EOFError, KeyboardInterrupt):
            return
        try:
            if subject is None:
                subject = order.make()
                await subject.open()
                outcome = None
            else:
                gc.collect()
                outcome = await order.obey(subject, number)
            orders.send((outcome, ""))
        except Exception as error:  # whatever it is, the one who ordered must hear of it and not wait for ever
            told = error.exceptions[0] if isinstance(error, ExceptionGroup) else error
            orders.send((None, f"{type(told).__name__}: {told}"))

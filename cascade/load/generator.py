"""The generator: a process of its own, so that neither the server nor this program's own work can hold it up."""

from __future__ import annotations

import asyncio
import multiprocessing
import selectors
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

from cascade.errors import CascadeError
from cascade.load.order import Closed, Open, Order, Pools
from cascade.load.phase import Phase
from cascade.load.reply import Reply
from cascade.load.schedule import Flow

# Between an order and its first request: the order has to get there, and the schedule to be made.
_LEAD = 0.3


class GeneratorError(CascadeError):
    """The generator's process ended or failed; nothing it was measuring can be used."""


class Generator:
    """Sends what it is told and hands back what became of it; one order at a time. Used as a context."""

    def __init__(self, pools: Pools) -> None:
        # A fork of a process that has used gRPC is not supported by gRPC.
        context = multiprocessing.get_context("spawn")
        self._orders, self._theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(self._theirs,), name="cascade load", daemon=True)
        self._pools = pools

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process.pid is not None
        return self._process.pid

    async def open(self, label: str, flows: Sequence[Flow], seconds: float, *, deadline: float, seed: int) -> Phase:
        """Load for `seconds`; returns when the last request has ended, at most `deadline` later."""
        start = time.monotonic() + _LEAD
        order = Open(tuple(flows), start, seconds, deadline, seed)
        rates, ends = {f.name: f.rate for f in flows}, {f.name: min(f.end, seconds) for f in flows}
        return Phase(label, start, seconds, deadline, rates, await self._run(order), ends)

    async def closed(self, label: str, flow: Flow, seconds: float, *, deadline: float, concurrency: int) -> Phase:
        """Keep so many requests in progress for `seconds`."""
        start = time.monotonic() + _LEAD
        order = Closed(flow, start, seconds, deadline, concurrency)
        return Phase(label, start, seconds, deadline, {}, await self._run(order))

    def stop(self) -> None:
        """End the process; it holds nothing, and whoever waits for it learns that it has ended."""
        self._process.kill()
        self._process.join()

    async def _run(self, order: Order) -> list[Reply]:
        def ask() -> list[Reply] | str:
            try:
                self._orders.send(order)
                answer: list[Reply] | str = self._orders.recv()
            except (EOFError, OSError) as error:
                raise GeneratorError("the generator's process has ended") from error
            return answer

        answer = await asyncio.to_thread(ask)
        if isinstance(answer, str):
            raise GeneratorError(answer)
        return answer

    def __enter__(self) -> Self:
        self._process.start()
        self._theirs.close()  # or the end of the process could not be seen from here
        try:
            self._orders.send(self._pools)  # not as an argument, which would wait for ever for a process that is dead
        except OSError as error:
            raise GeneratorError("the generator's process ended as soon as it was started") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._orders.close()


def _serve(orders: Connection) -> None:
    # Epoll waits whole milliseconds, select does not: requests go out when they should.
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        runner.run(_obey(orders))


async def _obey(orders: Connection) -> None:
    from cascade.load.sending import Sender

    try:
        pools: Pools = orders.recv()
    except (EOFError, KeyboardInterrupt):
        return
    sender = Sender(pools)
    while True:
        try:
            order: Order = await asyncio.to_thread(orders.recv)
        except (EOFError, KeyboardInterrupt):
            return
        try:
            orders.send(await sender.run(order))
        except Exception as error:  # whatever it is, the one who ordered must hear of it and not wait for ever
            orders.send(f"{type(error).__name__}: {error}")

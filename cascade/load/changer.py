"""Changes a tenant's cascade again and again, and watches when every server answers by each change."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Any

import grpc
import yaml

from cascade.config import parse
from cascade.load.bench import Bench
from cascade.load.changes import Change
from cascade.load.decoding import Ended, reply_of
from cascade.load.reply import Reply
from cascade.load.schedule import Flow
from cascade.load.sending import RANK
from cascade.load.workload import Workload
from cascade_client import AsyncClient, ClientError

_POLL = 0.005
_PATIENCE = 10.0


class Changer:
    """One change at a time, asked of one server after the other. What came of it is in the lists.

    `failures` says what went wrong with a change; `watched` are the answers by which its effect was seen.
    """

    def __init__(self, on: Bench, tenant: str, work: Workload) -> None:
        self.tenant = tenant
        first = parse(work.text, work.cascade).config_hash
        self.changes = [Change((tenant, work.cascade), 1, first, float("-inf"), float("-inf"))]
        self.failures: list[str] = []
        self.watched: list[Reply] = []
        self.put_seconds: list[float] = []
        self.activate_seconds: list[float] = []
        self._on = on
        self._work = work
        self._loaded = asyncio.Event()

    def pause(self) -> None:
        """Begin no change until `resume`: none is made without load."""
        self._loaded.clear()

    def resume(self) -> None:
        """Go on."""
        self._loaded.set()

    async def work(self, count: int) -> None:
        """Make `count` changes, whatever becomes of each."""
        async with AsyncExitStack() as stack:
            servers = list(self._on.servers.values())
            clients = [await stack.enter_async_context(self._on.tenancy.client(server.target)) for server in servers]
            watches = [
                _Watch(
                    self._on.flow(self.tenant, 0.0, server=server.name),
                    await stack.enter_async_context(grpc.aio.insecure_channel(server.target)),
                    self._work.requests,
                )
                for server in servers
            ]
            for number, text in zip(range(count), versions(self._work.text), strict=False):
                await self._loaded.wait()
                await self._change(clients[number % len(clients)], text, watches)

    async def _change(self, client: AsyncClient, text: str, watches: Sequence[_Watch]) -> None:
        cascade = self._work.cascade
        try:
            begun = time.monotonic()
            made = (await client.admin.put_cascade(cascade, text, tenant=self.tenant)).version
            asked = time.monotonic()
            await client.admin.activate(cascade, made.version, tenant=self.tenant)
            acknowledged = time.monotonic()
        except ClientError as error:
            self.failures.append(f"{error.code.name}: {error.message}")
            return
        self.put_seconds.append(asked - begun)
        self.activate_seconds.append(acknowledged - asked)
        seen = await asyncio.gather(*(watch.until(made.version, acknowledged, self.watched) for watch in watches))
        effects = {
            watch.flow.target: seconds for watch, seconds in zip(watches, seen, strict=True) if seconds is not None
        }
        if len(effects) < len(watches):
            self.failures.append(f"version {made.version} did not come into effect everywhere within {_PATIENCE:.0f} s")
        subject = self.tenant, cascade
        self.changes.append(Change(subject, made.version, made.config_hash, asked, acknowledged, effects))


class _Watch:
    """Asks one server again and again."""

    def __init__(self, flow: Flow, channel: grpc.aio.Channel, requests: Sequence[bytes]) -> None:
        self.flow = flow
        self._send: Any = channel.unary_unary(RANK)
        self._requests = requests
        self._number = 0

    async def until(self, version: int, acknowledged: float, watched: list[Reply]) -> float | None:
        """Seconds from `acknowledged` until the server has answered by `version` or a later one; None for too long."""
        while True:
            reply = await self._ask()
            watched.append(reply)
            if reply.answer and reply.version >= version:
                return reply.done - acknowledged
            if reply.done > acknowledged + _PATIENCE:
                return None
            await asyncio.sleep(_POLL)

    async def _ask(self) -> Reply:
        self._number = (self._number + 1) % len(self._requests)
        sent = time.monotonic()
        try:
            found: bytes | grpc.aio.AioRpcError = await self._send(
                self._requests[self._number], timeout=_PATIENCE, metadata=self.flow.metadata
            )
        except grpc.aio.AioRpcError as error:
            found = error
        return reply_of(Ended(self.flow, sent, sent, time.monotonic(), found))


def versions(text: str) -> Iterator[str]:
    """Cascades without end that rank as `text` does and are all told apart by their hash."""
    content = yaml.safe_load(text)
    number = 1
    while True:
        number += 1
        yield yaml.safe_dump({**content, "description": f"change {number} by cascade load"}, sort_keys=False)

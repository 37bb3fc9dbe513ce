"""Sends requests at their intended times over gRPC, and notes what became of each."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import grpc

from cascade.load.decoding import Ended, reply_of
from cascade.load.order import Closed, Open, Order, Pools
from cascade.load.reply import Reply
from cascade.load.schedule import Flow, schedule

RANK = "/cascade_api.v1.RankingService/Rank"

# How long a closed loop waits after a refusal: it would otherwise measure how fast a server refuses.
_PAUSE = 0.01
_CONNECT = 0.25
_LARGEST = 64 * 1024 * 1024


class Sender:
    """Connections to servers, one for each flow; answers are read once a run is over, so as not to delay sending."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._channels: dict[tuple[str, str], grpc.aio.Channel] = {}
        gc.collect()

    async def run(self, order: Order) -> list[Reply]:
        """Every request of the order, with what became of it."""
        flows = order.flows if isinstance(order, Open) else (order.flow,)
        # A server that is gone is found out by the requests, which fail.
        with suppress(TimeoutError):
            async with asyncio.timeout(_CONNECT):
                for flow in flows:
                    await self._channel(flow).channel_ready()
        gc.disable()
        try:
            ended = await (self._open(order) if isinstance(order, Open) else self._closed(order))
        finally:
            gc.enable()
            gc.collect()
        return [reply_of(one) for one in ended]

    async def aclose(self) -> None:
        """Close the connections."""
        for channel in self._channels.values():
            await channel.close()

    async def _open(self, order: Open) -> Sequence[Ended]:
        plan = schedule(order.flows, order.seconds, order.seed)
        tasks: list[asyncio.Task[Ended]] = []
        for at, number, draw in zip(plan.at.tolist(), plan.flow.tolist(), plan.draw.tolist(), strict=True):
            flow, intended = order.flows[number], order.start + at
            pool = self._pools[flow.pool]
            await asyncio.sleep(max(0.0, intended - time.monotonic()))
            one = self._one(flow, pool[int(draw * len(pool))], intended, order.deadline)
            tasks.append(asyncio.create_task(one))
        return await asyncio.gather(*tasks)

    async def _closed(self, order: Closed) -> Sequence[Ended]:
        ended: list[Ended] = []
        end = order.start + order.seconds
        pool = self._pools[order.flow.pool]

        async def worker(number: int) -> None:
            await asyncio.sleep(max(0.0, order.start - time.monotonic()))
            while (now := time.monotonic()) < end:
                number = (number + order.concurrency) % len(pool)
                ended.append(await self._one(order.flow, pool[number], now, order.deadline))
                if isinstance(ended[-1].result, Exception):
                    await asyncio.sleep(_PAUSE)

        await asyncio.gather(*map(worker, range(order.concurrency)))
        return ended

    async def _one(self, flow: Flow, request: bytes, intended: float, deadline: float) -> Ended:
        sent = time.monotonic()
        left = intended + deadline - sent
        if left <= 0:
            return Ended(flow, intended, sent, sent, None)
        send: Any = self._channel(flow).unary_unary(RANK)  # its types want a serializer, and bytes need none
        try:
            result: bytes | grpc.aio.AioRpcError = await send(request, timeout=left, metadata=flow.metadata)
        except grpc.aio.AioRpcError as error:
            result = error
        return Ended(flow, intended, sent, time.monotonic(), result)

    def _channel(self, flow: Flow) -> grpc.aio.Channel:
        key = flow.name, flow.target
        if key not in self._channels:
            options = (
                ("grpc.use_local_subchannel_pool", 1),  # or flows would share one connection and wait for each other
                ("grpc.enable_retries", 0),
                ("grpc.max_receive_message_length", _LARGEST),
            )
            self._channels[key] = grpc.aio.insecure_channel(flow.target, options)
        return self._channels[key]

"""A server that loads its models is there, says so, and refuses what it cannot do yet."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from cascade.budget import Budget
from cascade_api.v1 import ranking_pb2, ranking_pb2_grpc, server_pb2, server_pb2_grpc
from cascade_server.app import Server
from cascade_server.settings import Settings

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def status(channel: grpc.aio.Channel) -> int:
    answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    return answer.status


async def test_requests_are_refused_until_the_models_are_loaded(configs: Any, refused: Any, tmp_path: Any) -> None:
    server = Server(
        Settings(port=0, metrics_port=None, data_dir=tmp_path),
        cascades=lambda: {"default": {"meaning": configs["meaning"]}},
    )
    release = threading.Event()
    queue = server.models.encoder("embedded:all-minilm-l6-v2").queue
    hanging = asyncio.ensure_future(queue.run(release.wait, budget=Budget()))
    starting = asyncio.create_task(server.start())
    try:
        while not server.port:  # noqa: ASYNC110  # as one who waits for the port
            await asyncio.sleep(0.01)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            assert await status(channel) == health_pb2.HealthCheckResponse.NOT_SERVING
            info = await server_pb2_grpc.ServerServiceStub(channel).GetInfo(server_pb2.GetInfoRequest())
            assert [(m.ready, m.problem) for m in info.models] == [(False, "not loaded yet")]
            refusal = await refused(ranking_pb2_grpc.RankingServiceStub(channel).Rank(ranking_pb2.RankRequest()))
            assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")
            assert refusal.retry_after > 0
            release.set()
            await starting
            assert await status(channel) == health_pb2.HealthCheckResponse.SERVING
            info = await server_pb2_grpc.ServerServiceStub(channel).GetInfo(server_pb2.GetInfoRequest())
            assert [(m.ready, m.problem) for m in info.models] == [(True, "")]
    finally:
        release.set()
        await asyncio.wait({hanging, starting})
        await server.stop(None)

"""Health says of each service whether its models answer."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from cascade.config import parse

pytestmark = pytest.mark.asyncio(loop_scope="session")

RANKING = "cascade_api.v1.RankingService"
INDEX = "cascade_api.v1.IndexService"
SERVER = "cascade_api.v1.ServerService"
ADMIN = "cascade_api.v1.AdminService"
SERVICES = ("", RANKING, INDEX, SERVER, ADMIN)


async def serving(running: Any) -> dict[str, bool]:
    return {service: await running.serving(service) for service in SERVICES}


async def test_every_service_of_a_sound_server_serves(plain: Any) -> None:
    assert await serving(plain) == dict.fromkeys(SERVICES, True)


async def test_an_unknown_service_has_no_health(plain: Any, refused: Any) -> None:
    assert (await refused(plain.serving("unknown"))).code is grpc.StatusCode.NOT_FOUND


async def test_a_model_that_is_not_there_is_seen_and_refused_and_harms_no_other_cascade(
    serve: Any, configs: Any, refused: Any, tmp_path: Any
) -> None:
    tier = "{kind: cross_encoder, depth: 5, model: /no/such/model}"
    broken = parse(f"retrieve: [{{kind: bm25}}]\ntiers: [{tier}]", "broken")
    async with serve(tmp_path, {"plain": configs["plain"], "broken": broken}) as running:
        assert await serving(running) == {"": False, RANKING: False, INDEX: True, SERVER: True, ADMIN: True}
        refusal = await refused(running.rank(cascade="broken"))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "MODEL_LOAD")
        assert refusal.facts["model"] == "/no/such/model"
        assert (await running.rank()).results


async def test_a_model_that_was_put_right_is_loaded_by_a_reload(
    serve: Any, configs: Any, refused: Any, tmp_path: Path, tiny_cross_encoder: Path
) -> None:
    place = tmp_path / "model"
    late = parse(f"retrieve: [{{kind: bm25}}]\ntiers: [{{kind: cross_encoder, depth: 5, model: {place}}}]", "late")
    async with serve(tmp_path, {"plain": configs["plain"], "late": late}) as running:
        await running.server.reload()
        assert (await refused(running.rank(cascade="late"))).reason == "MODEL_LOAD"
        shutil.copytree(tiny_cross_encoder, place)
        await running.server.reload()
        assert not (await running.rank(cascade="late")).degraded
        assert await serving(running) == dict.fromkeys(SERVICES, True)


async def test_a_model_whose_worker_has_ended_is_seen(serve: Any, configs: Any, tmp_path: Any) -> None:
    async with serve(tmp_path, {"meaning": configs["meaning"]}) as running:
        assert await serving(running) == dict.fromkeys(SERVICES, True)
        watch = running.health.Watch(health_pb2.HealthCheckRequest(service=RANKING))
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        await running.server.models.encoder("embedded:all-minilm-l6-v2").aclose()
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert await serving(running) == {"": False, RANKING: False, INDEX: False, SERVER: True, ADMIN: True}


async def test_the_same_model_run_otherwise_for_somebody_does_not_count(
    serve: Any, configs: Any, tmp_path: Any
) -> None:
    async with serve(tmp_path, {"meaning": configs["meaning"]}) as running:
        models = running.server.models
        loading = models.encoder("embedded:all-minilm-l6-v2", "torch-fp32")
        assert not loading.status.ready
        await running.server.reload()
        assert await serving(running) == dict.fromkeys(SERVICES, True)


async def test_a_server_that_stops_says_so_and_does_not_wait_for_those_who_watch(
    serve: Any, configs: Any, tmp_path: Any
) -> None:
    async with serve(tmp_path, {"plain": configs["plain"]}) as running:
        watch = running.health.Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        stopping = asyncio.create_task(running.server.stop(grace=3600))
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        await stopping


async def test_reflection_lists_every_service(plain: Any) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(plain.channel)
    call = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
    answers = [answer async for answer in call]
    names = {service.name for service in answers[0].list_services_response.service}
    assert names == {*SERVICES[1:], "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}

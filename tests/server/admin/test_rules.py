"""What may come into force is what the settings of today allow, not those of the day it was kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from cascade_server.control.state import Quota
from cascade_server.control.store import Store

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_version_that_is_not_allowed_any_more_does_not_come_into_force(
    operator: Any, tenant: str, refused: Any
) -> None:
    store = Store(operator._running.server.settings.store_at)
    for model in ("embedded:cross-encoder", "someone/anything"):
        tier = f"{{kind: cross_encoder, depth: 5, model: {model}}}"
        store.put_version("an older server", tenant, "search", f"retrieve: [{{kind: bm25}}]\ntiers: [{tier}]\n")
    store.close()
    refusal = await refused(operator("ActivateCascade", tenant=tenant, cascade="search", version=2))
    assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refusal.reason == "CONFIG"
    assert "hub_models" in refusal.message
    assert not (await operator("ListCascadeVersions", tenant=tenant)).rollouts


async def test_rolling_back_checks_the_version_before_too(
    admin: Any, tenant: str, search: str, empty_model: Path, operator: Any, refused: Any
) -> None:
    bad = f"retrieve: [{{kind: bm25}}]\ntiers: [{{kind: cross_encoder, depth: 5, model: {empty_model}}}]\n"
    number = (await admin("PutCascade", cascade=search, text=bad)).version.version
    store = Store(operator._running.server.settings.store_at)
    store.activate("a server that could load it", tenant, search, number)
    store.activate("a server that could load it", tenant, search, 1)
    store.close()
    refusal = await refused(admin("RollBackCascade", cascade=search))
    assert refusal.reason == "MODEL_LOAD"
    (rollout,) = (await admin("ListCascadeVersions")).rollouts
    assert rollout.active_version == 1


async def test_what_another_process_changes_takes_effect_here(
    operator: Any, admin: Any, tenant: str, search: str
) -> None:
    store = Store(operator._running.server.settings.store_at)
    store.activate("another process", tenant, search, 2)
    store.set_quota("another process", tenant, Quota(max_depth=500))
    store.close()
    await operator._running.server._watcher.follow()
    (found,) = (await admin("ListTenants")).tenants
    assert (found.rollouts[0].active_version, found.quota.max_depth) == (2, 500)
    assert (await admin.rank(cascade=search)).provenance.cascade_version == 2


async def test_the_service_says_that_it_serves(operator: Any) -> None:
    health = health_pb2_grpc.HealthStub(operator._running.channel)
    answer = await health.Check(health_pb2.HealthCheckRequest(service="cascade_api.v1.AdminService"))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING

"""Tenants over the wire."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from cascade_api.v1 import quota_pb2

pytestmark = pytest.mark.asyncio(loop_scope="session")

_QUOTA = quota_pb2.Quota(
    tokens_per_second=1000.5,
    burst_tokens=5000,
    max_concurrent_requests=4,
    max_depth=50,
    max_documents=20,
    max_request_tokens=9000,
    priority=quota_pb2.PRIORITY_HIGH,
    weight=2.5,
)


async def test_a_tenant_lives_from_create_to_delete(operator: Any) -> None:
    made = (await operator("CreateTenant", name="short-lived", quota=_QUOTA)).tenant
    assert (made.name, made.quota) == ("short-lived", _QUOTA)
    assert made.created_at.seconds > 0
    assert made in (await operator("ListTenants")).tenants
    await operator("DeleteTenant", name="short-lived")
    assert "short-lived" not in [tenant.name for tenant in (await operator("ListTenants")).tenants]


async def test_a_tenant_that_is_there_is_not_made_again(operator: Any, tenant: str, refused: Any) -> None:
    assert (await refused(operator("CreateTenant", name=tenant))).code is grpc.StatusCode.ALREADY_EXISTS


async def test_a_tenant_without_a_quota_has_no_limits(operator: Any, tenant: str) -> None:
    found = {t.name: t.quota for t in (await operator("ListTenants")).tenants}
    assert found[tenant] == quota_pb2.Quota(priority=quota_pb2.PRIORITY_NORMAL, weight=1.0)


async def test_a_quota_is_replaced_whole(operator: Any, tenant: str) -> None:
    await operator("SetQuota", tenant=tenant, quota=_QUOTA)
    now = (await operator("SetQuota", tenant=tenant, quota=quota_pb2.Quota(max_depth=7))).tenant.quota
    assert now == quota_pb2.Quota(max_depth=7, priority=quota_pb2.PRIORITY_NORMAL, weight=1.0)


async def test_a_quota_needs_a_tenant_that_is_there(operator: Any, refused: Any) -> None:
    refusal = await refused(operator("SetQuota", tenant="nobody", quota=_QUOTA))
    assert refusal.code is grpc.StatusCode.NOT_FOUND


async def test_a_tenants_admin_sees_its_own_tenant_only(admin: Any, tenant: str) -> None:
    assert [t.name for t in (await admin("ListTenants")).tenants] == [tenant]


async def test_a_tenant_is_shown_with_what_is_served_for_it(admin: Any, search: str) -> None:
    await admin("ActivateCascade", cascade=search, version=2)
    (found,) = (await admin("ListTenants")).tenants
    assert [(r.cascade, r.active_version) for r in found.rollouts] == [("search", 2)]


async def test_the_keys_of_a_deleted_tenant_open_nothing(operator: Any, admin: Any, tenant: str, refused: Any) -> None:
    await operator("DeleteTenant", name=tenant)
    assert (await refused(admin("ListTenants"))).code is grpc.StatusCode.UNAUTHENTICATED

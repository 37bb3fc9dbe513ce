"""Who may call what on whose behalf: tried for every call of AdminService."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from cascade_api.v1 import admin_pb2, quota_pb2

pytestmark = pytest.mark.asyncio(loop_scope="session")

_METHODS = admin_pb2.DESCRIPTOR.services_by_name["AdminService"].methods
_OTHER_FIELDS = {
    "text": "retrieve: [{kind: bm25}]",
    "cascade": "search",
    "version": 1,
    "role": admin_pb2.ROLE_READER,
    "quota": quota_pb2.Quota(),
    "percent": 10.0,
    "key_id": "0123456789ab",
}
_OF_A_TENANT = [m.name for m in _METHODS if "tenant" in m.input_type.fields_by_name]
_OF_OPERATORS = ["CreateTenant", "SetQuota", "DeleteTenant"]


def _fields(method: str, **given: Any) -> dict[str, Any]:
    known = admin_pb2.DESCRIPTOR.message_types_by_name[f"{method}Request"].fields_by_name
    return {name: value for name, value in (_OTHER_FIELDS | given).items() if name in known}


@pytest.mark.parametrize("method", _OF_A_TENANT)
async def test_another_tenant_is_refused_alike_whether_it_is_there_or_not(
    operator: Any, admin: Any, refused: Any, method: str
) -> None:
    there = await refused(admin(method, **_fields(method, tenant="default")))
    absent = await refused(admin(method, **_fields(method, tenant="nowhere")))
    assert there.code is grpc.StatusCode.PERMISSION_DENIED
    assert there == absent
    assert "default" not in there.message


@pytest.mark.parametrize("method", _OF_OPERATORS)
async def test_operators_calls_are_refused_to_a_tenants_admin_also_for_its_own_tenant(
    admin: Any, tenant: str, refused: Any, method: str
) -> None:
    refusal = await refused(admin(method, **_fields(method, tenant=tenant, name=tenant)))
    assert refusal.code is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("method", [m.name for m in _METHODS])
async def test_readers_and_writers_administer_nothing(admin: Any, caller: Any, refused: Any, method: str) -> None:
    for role in (admin_pb2.ROLE_READER, admin_pb2.ROLE_WRITER):
        secret = (await admin("CreateKey", role=role)).secret
        refusal = await refused(caller(secret)(method, **_fields(method)))
        assert refusal.code is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("method", [m.name for m in _METHODS])
async def test_nobody_calls_without_a_key_once_there_is_one(caller: Any, refused: Any, method: str) -> None:
    assert (await refused(caller()(method, **_fields(method)))).code is grpc.StatusCode.UNAUTHENTICATED


async def test_an_operator_acts_on_the_tenant_that_it_names(operator: Any, tenant: str) -> None:
    put = await operator("PutCascade", tenant=tenant, cascade="words", text="retrieve: [{kind: bm25}]")
    assert put.version.tenant == tenant
    assert [v.tenant for v in (await operator("ListCascadeVersions", tenant=tenant)).versions] == [tenant]


async def test_an_operator_that_names_no_tenant_acts_on_that_of_its_call(
    operator: Any, caller: Any, tenant: str
) -> None:
    secret = (await operator("CreateKey", role=admin_pb2.ROLE_ADMIN)).secret
    put = await caller(secret, tenant)("PutCascade", cascade="words", text="retrieve: [{kind: bm25}]")
    assert put.version.tenant == tenant

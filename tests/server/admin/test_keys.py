"""Keys over the wire: shown once, of use at once, and of none when they are revoked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

from cascade_api.v1 import admin_pb2

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_secret_is_shown_once_and_opens_at_once(admin: Any, caller: Any, search: str) -> None:
    await admin("ActivateCascade", cascade=search, version=1)
    made = await admin("CreateKey", role=admin_pb2.ROLE_READER, label="the shop")
    assert (made.key.role, made.key.label) == (admin_pb2.ROLE_READER, "the shop")
    assert made.key.key_id in made.secret
    assert (await caller(made.secret).rank(cascade=search)).results
    listed = await admin("ListKeys")
    assert made.key in listed.keys
    assert made.secret not in str(listed)


async def test_a_revoked_key_opens_nothing_at_once_and_stays_listed(admin: Any, caller: Any, refused: Any) -> None:
    made = await admin("CreateKey", role=admin_pb2.ROLE_ADMIN)
    other = caller(made.secret)
    await other("ListKeys")
    ended = (await admin("RevokeKey", key_id=made.key.key_id)).key
    assert ended.revoked_at.seconds >= ended.created_at.seconds
    assert (await refused(other("ListKeys"))).code is grpc.StatusCode.UNAUTHENTICATED
    assert ended in (await admin("ListKeys")).keys


async def test_an_operator_that_names_a_tenant_in_metadata_makes_a_key_of_that_tenant_and_no_operators(
    operator: Any, caller: Any, tenant: str
) -> None:
    mine = await operator("CreateKey", role=admin_pb2.ROLE_ADMIN)
    named = caller(mine.secret, tenant)
    made = await named("CreateKey", role=admin_pb2.ROLE_READER)
    assert made.key.tenant == tenant
    assert {key.tenant for key in (await named("ListKeys")).keys} == {tenant}


async def test_a_key_may_end_by_itself(admin: Any) -> None:
    request = admin_pb2.CreateKeyRequest(role=admin_pb2.ROLE_READER)
    request.expires_at.FromDatetime(datetime.now(UTC) + timedelta(days=1))
    made = await admin("CreateKey", role=request.role, expires_at=request.expires_at)
    assert made.key.expires_at == request.expires_at
    assert made.key.expires_at.seconds > made.key.created_at.seconds


async def test_a_certificate_stands_for_a_key_without_a_secret(operator: Any, tenant: str) -> None:
    asked = {"role": admin_pb2.ROLE_WRITER, "certificate_name": f"{datetime.now(UTC):%s%f}.example"}
    made = await operator("CreateKey", tenant=tenant, **asked)
    assert made.secret == ""
    assert made.key.certificate_name.endswith(".example")


async def test_a_tenants_admin_claims_no_certificate(operator: Any, admin: Any, tenant: str, refused: Any) -> None:
    asked = {"role": admin_pb2.ROLE_READER, "certificate_name": f"{tenant}.example"}
    free = await refused(admin("CreateKey", **asked))
    await operator("CreateKey", tenant="default", **asked)
    taken = await refused(admin("CreateKey", **asked))
    assert free.code is grpc.StatusCode.PERMISSION_DENIED
    assert free == taken


async def test_keys_are_listed_by_tenant_newest_first(operator: Any, admin: Any, tenant: str) -> None:
    for label in ("first", "second"):
        await admin("CreateKey", role=admin_pb2.ROLE_READER, label=label)
    own = (await admin("ListKeys")).keys
    assert [key.label for key in own] == ["second", "first", ""]
    every = (await operator("ListKeys")).keys
    assert [key.tenant for key in every] == sorted(key.tenant for key in every)
    assert every[0].tenant == ""
    assert list((await operator("ListKeys", tenant=tenant)).keys) == list(own)


async def test_a_tenants_admin_makes_keys_for_its_own_tenant_only(admin: Any, tenant: str, refused: Any) -> None:
    assert (await admin("CreateKey", role=admin_pb2.ROLE_ADMIN)).key.tenant == tenant
    refusal = await refused(admin("CreateKey", tenant="default", role=admin_pb2.ROLE_READER))
    assert refusal.code is grpc.StatusCode.PERMISSION_DENIED


async def test_an_operator_without_a_tenant_makes_an_operators_key(operator: Any, caller: Any) -> None:
    made = await operator("CreateKey", role=admin_pb2.ROLE_ADMIN)
    assert made.key.tenant == ""
    assert (await caller(made.secret)("ListTenants")).tenants


async def test_a_tenants_admin_can_end_no_others_key(operator: Any, admin: Any, refused: Any) -> None:
    others = (await operator("CreateKey", role=admin_pb2.ROLE_READER)).key.key_id
    theirs = await refused(admin("RevokeKey", key_id=others))
    nobodys = await refused(admin("RevokeKey", key_id="0123456789ab"))
    assert theirs.code is nobodys.code is grpc.StatusCode.NOT_FOUND
    assert theirs.message.replace(others, "") == nobodys.message.replace("0123456789ab", "")
    assert not [k for k in (await operator("ListKeys")).keys if k.key_id == others and k.HasField("revoked_at")]

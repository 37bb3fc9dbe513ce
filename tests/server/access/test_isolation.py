"""For every RPC of every service: what it does when a tenant tries to reach another tenant's things with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from grpc_reflection.v1alpha import reflection_pb2

from cascade_api.v1 import admin_pb2, document_pb2, index_pb2, ranking_pb2, server_pb2
from cascade_server.access.roles import ROLES
from cascade_server.control.state import Role

pytestmark = pytest.mark.asyncio(loop_scope="session")

APPLES = [document_pb2.Document(doc_id="a", text="red apples")]
CLOSED = (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.NOT_FOUND)


def rank(other: str) -> ranking_pb2.RankRequest:
    return ranking_pb2.RankRequest(cascade=f"{other}-search", query="apples", top_k=1, documents=APPLES)


def rank_index(other: str) -> ranking_pb2.RankRequest:
    return ranking_pb2.RankRequest(cascade="plain", query="apples", top_k=1, index=f"{other}-index")


def named(request: type[Message], field: str = "tenant", **more: Any) -> Callable[[str], Message]:
    return lambda other: request(**{field: other}, **more)


def owned(request: type[Message], **more: Any) -> Callable[[str], Message]:
    return lambda other: request(tenant=other, cascade=f"{other}-search", **more)


# What a caller of globex tries on things of `other`; of those that name nothing, what the answer shows is looked at.
TRIES: dict[str, tuple[Callable[[str], Message], ...]] = {
    "RankingService/Rank": (rank, rank_index),
    "RankingService/RankStream": (
        lambda other: ranking_pb2.RankStreamRequest(request=rank(other)),
        lambda other: ranking_pb2.RankStreamRequest(request=rank_index(other)),
    ),
    "IndexService/UpsertDocuments": (
        lambda other: index_pb2.UpsertDocumentsRequest(index=f"{other}-index", documents=APPLES),
    ),
    "IndexService/DeleteDocuments": (
        lambda other: index_pb2.DeleteDocumentsRequest(index=f"{other}-index", doc_ids=["d"]),
    ),
    "IndexService/GetIndex": (lambda other: index_pb2.GetIndexRequest(name=f"{other}-index"),),
    "IndexService/DropIndex": (lambda other: index_pb2.DropIndexRequest(name=f"{other}-index"),),
    "AdminService/CreateTenant": (named(admin_pb2.CreateTenantRequest, "name"),),
    "AdminService/SetQuota": (named(admin_pb2.SetQuotaRequest),),
    "AdminService/DeleteTenant": (named(admin_pb2.DeleteTenantRequest, "name"),),
    "AdminService/ValidateCascade": (named(admin_pb2.ValidateCascadeRequest, text="retrieve: [{kind: bm25}]"),),
    "AdminService/PutCascade": (owned(admin_pb2.PutCascadeRequest, text="retrieve: [{kind: bm25}]"),),
    "AdminService/ListCascadeVersions": (
        named(admin_pb2.ListCascadeVersionsRequest),
        owned(admin_pb2.ListCascadeVersionsRequest),
    ),
    "AdminService/GetCascadeVersion": (owned(admin_pb2.GetCascadeVersionRequest),),
    "AdminService/DiffCascade": (owned(admin_pb2.DiffCascadeRequest, from_version=1),),
    "AdminService/ActivateCascade": (owned(admin_pb2.ActivateCascadeRequest, version=1),),
    "AdminService/RollBackCascade": (owned(admin_pb2.RollBackCascadeRequest),),
    "AdminService/SetCanary": (owned(admin_pb2.SetCanaryRequest, version=1, percent=50),),
    "AdminService/SetShadow": (owned(admin_pb2.SetShadowRequest, version=1, percent=50),),
    "AdminService/DeactivateCascade": (owned(admin_pb2.DeactivateCascadeRequest),),
    "AdminService/CreateKey": (named(admin_pb2.CreateKeyRequest, role=admin_pb2.ROLE_READER),),
    "AdminService/ListKeys": (named(admin_pb2.ListKeysRequest),),
    "AdminService/ListAuditEntries": (named(admin_pb2.ListAuditEntriesRequest),),
    "AdminService/GetUsage": (named(admin_pb2.GetUsageRequest),),
}
SHOWN: dict[str, Message] = {
    "ServerService/GetInfo": server_pb2.GetInfoRequest(),
    "IndexService/ListIndexes": index_pb2.ListIndexesRequest(),
    "AdminService/ListTenants": admin_pb2.ListTenantsRequest(),
    "AdminService/ListCascadeVersions": admin_pb2.ListCascadeVersionsRequest(),
    "AdminService/ListKeys": admin_pb2.ListKeysRequest(),
    "AdminService/ListAuditEntries": admin_pb2.ListAuditEntriesRequest(),
    "AdminService/GetUsage": admin_pb2.GetUsageRequest(),
    "ServerReflection/ServerReflectionInfo": reflection_pb2.ServerReflectionRequest(list_services=""),
}
# These have tries of their own below.
APART = {"IndexService/CreateIndex", "AdminService/RevokeKey"}
FULL = {rpc.rsplit(".", 1)[-1]: rpc for rpc in ROLES}


async def test_every_rpc_is_tried() -> None:
    assert {*TRIES, *SHOWN, *APART} == set(FULL)


@pytest.fixture(autouse=True)
def nothing_of_acme_changes(guarded: Any) -> Any:
    """After every try, acme has what it had."""

    def things() -> Any:
        store = guarded.store
        state = store.state()
        return (
            state.tenants["acme"],
            list(store.keys("acme")),
            store.versions("acme"),
            [row for row in store.usage("acme") if row.cascade == "acme-search"],
            store.audit("acme"),
            {config for config in state.configs if config[0] == "acme"},
        )

    before = things()
    yield
    assert things() == before


@pytest.mark.parametrize("rpc", sorted(FULL))
@pytest.mark.parametrize("other", ["acme", "no-such-tenant", "../acme"])
async def test_no_rpc_acts_for_another_tenant_that_metadata_names(
    guarded: Any, refused: Any, rpc: str, other: str
) -> None:
    metadata = guarded.as_("globex", Role.ADMIN, ("x-cascade-tenant", other))
    refusal = await refused(guarded.call(FULL[rpc], metadata=metadata))
    assert refusal.code is grpc.StatusCode.PERMISSION_DENIED
    assert "acme" not in refusal.message
    assert other not in refusal.message


@pytest.mark.parametrize("rpc", sorted(FULL))
async def test_no_rpc_answers_a_caller_without_credentials(guarded: Any, refused: Any, rpc: str) -> None:
    for metadata in ((), (("x-cascade-tenant", "acme"),), (("authorization", "Bearer csk_a_" + "A" * 43),)):
        refusal = await refused(guarded.call(FULL[rpc], metadata=metadata))
        assert refusal.code is grpc.StatusCode.UNAUTHENTICATED
        assert "acme" not in refusal.message


@pytest.mark.parametrize(("rpc", "attempt"), [(rpc, attempt) for rpc, found in TRIES.items() for attempt in found])
async def test_naming_another_tenants_things_is_refused_as_if_they_were_not_there(
    guarded: Any, refused: Any, rpc: str, attempt: Callable[[str], Message]
) -> None:
    metadata = guarded.as_("globex", Role.ADMIN)
    real = await refused(guarded.call(FULL[rpc], attempt("acme"), metadata))
    made_up = await refused(guarded.call(FULL[rpc], attempt("nobody"), metadata))
    assert real.code in CLOSED
    assert (real.code, real.reason) == (made_up.code, made_up.reason)
    assert real.message.replace("acme", "nobody") == made_up.message
    assert {k: v.replace("acme", "nobody") for k, v in real.facts.items()} == made_up.facts


@pytest.mark.parametrize("rpc", sorted(SHOWN))
async def test_what_is_listed_shows_nothing_of_another_tenant(guarded: Any, rpc: str) -> None:
    mine = await guarded.call(FULL[rpc], SHOWN[rpc], guarded.as_("globex", Role.ADMIN))
    assert b"acme" not in mine
    assert guarded.key_ids["acme", Role.READER].encode() not in mine
    if rpc != "ServerReflection/ServerReflectionInfo":
        assert b"globex" in mine


@pytest.mark.parametrize("rpc", sorted(rpc for rpc in SHOWN if rpc.startswith("AdminService")))
async def test_an_operator_sees_every_tenant(guarded: Any, rpc: str) -> None:
    request = SHOWN[rpc]
    if rpc == "AdminService/ListCascadeVersions":
        request = admin_pb2.ListCascadeVersionsRequest(tenant="acme")
    assert b"acme" in await guarded.call(FULL[rpc], request, guarded.as_(None, Role.ADMIN))


async def test_an_index_of_the_same_name_is_another_tenants_own(guarded: Any) -> None:
    create, get = FULL["IndexService/CreateIndex"], FULL["IndexService/GetIndex"]
    writer = guarded.as_("globex", Role.WRITER)
    await guarded.call(create, index_pb2.CreateIndexRequest(name="acme-index"), writer)
    upsert = index_pb2.UpsertDocumentsRequest(
        index="acme-index", documents=[document_pb2.Document(doc_id="g", text="x")]
    )
    await guarded.call(FULL["IndexService/UpsertDocuments"], upsert, writer)
    found = await guarded.call(get, index_pb2.GetIndexRequest(name="acme-index"), guarded.as_("acme", Role.READER))
    assert index_pb2.GetIndexResponse.FromString(found).index.documents == 0
    await guarded.call(FULL["IndexService/DropIndex"], index_pb2.DropIndexRequest(name="acme-index"), writer)
    await guarded.call(get, index_pb2.GetIndexRequest(name="acme-index"), guarded.as_("acme", Role.READER))


async def test_another_tenants_key_cannot_be_revoked_or_found(guarded: Any, refused: Any) -> None:
    revoke, metadata = FULL["AdminService/RevokeKey"], guarded.as_("globex", Role.ADMIN)
    key_id = guarded.key_ids["acme", Role.READER]
    real = await refused(guarded.call(revoke, admin_pb2.RevokeKeyRequest(key_id=key_id), metadata))
    made_up = await refused(guarded.call(revoke, admin_pb2.RevokeKeyRequest(key_id="a" * 12), metadata))
    operators = guarded.key_ids[None, Role.ADMIN]
    assert real.code is made_up.code is grpc.StatusCode.NOT_FOUND
    assert real.message.replace(key_id, "a" * 12) == made_up.message
    top = await refused(guarded.call(revoke, admin_pb2.RevokeKeyRequest(key_id=operators), metadata))
    assert top.message.replace(operators, "a" * 12) == made_up.message


@pytest.mark.parametrize("rpc", sorted(FULL))
async def test_a_lesser_role_is_refused_by_every_rpc_that_takes_more(guarded: Any, refused: Any, rpc: str) -> None:
    for role in (role for role in Role if role < ROLES[FULL[rpc]]):
        refusal = await refused(guarded.call(FULL[rpc], metadata=guarded.as_("acme", role)))
        assert refusal.code is grpc.StatusCode.PERMISSION_DENIED
        assert f"found {role.name.lower()}" in refusal.message

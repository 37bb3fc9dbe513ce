"""A server with keys, as its callers see it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from structlog.testing import capture_logs

from cascade.errors import NotFoundError
from cascade_api.v1 import document_pb2, index_pb2, ranking_pb2, server_pb2
from cascade_server.access.authenticator import Authenticator
from cascade_server.access.check import AccessCheck
from cascade_server.control.state import Role, State
from cascade_server.control.store import Store
from cascade_server.interceptors.scope import RequestScope
from cascade_server.metrics import Metrics
from cascade_server.settings import Settings

pytestmark = pytest.mark.asyncio(loop_scope="session")

RANK = "/cascade_api.v1.RankingService/Rank"
INFO = "/cascade_api.v1.ServerService/GetInfo"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
APPLES = [document_pb2.Document(text="red apples")]
GOOD = ranking_pb2.RankRequest(cascade="plain", query="apples", top_k=1, documents=APPLES)


async def becomes(call: Callable[[], Awaitable[Any]], code: grpc.StatusCode) -> None:
    """Return when the call is answered with `code`, as it must be within a second of a change of the store."""
    async with asyncio.timeout(5):
        while await answered(call()) is not code:  # noqa: ASYNC110  # over the wire, as a caller would
            await asyncio.sleep(0.01)


async def answered(call: Awaitable[Any]) -> grpc.StatusCode:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def test_health_is_open_to_everybody(guarded: Any) -> None:
    answer = await guarded.running.health.Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_a_key_opens_its_tenant(guarded: Any) -> None:
    for tenant in ("acme", "globex"):
        data = await guarded.call(INFO, metadata=guarded.as_(tenant, Role.READER))
        assert server_pb2.GetInfoResponse.FromString(data).tenant == tenant
        assert await guarded.call(RANK, GOOD, guarded.as_(tenant, Role.READER))


async def test_an_operator_acts_for_the_tenant_it_names(guarded: Any, refused: Any) -> None:
    for tenant in ("acme", "default"):
        named = (("x-cascade-tenant", tenant),) if tenant != "default" else ()
        data = await guarded.call(INFO, metadata=guarded.as_(None, Role.ADMIN, *named))
        assert server_pb2.GetInfoResponse.FromString(data).tenant == tenant
    unknown = guarded.as_(None, Role.ADMIN, ("x-cascade-tenant", "nobody"))
    assert (await refused(guarded.call(INFO, metadata=unknown))).code is grpc.StatusCode.NOT_FOUND


async def test_a_refusal_says_its_kind_to_programs(guarded: Any, refused: Any) -> None:
    nobody = await refused(guarded.call(RANK, GOOD))
    assert (nobody.code, nobody.reason) == (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")
    assert nobody.facts["kind"] == "no_credentials"
    wrong = guarded.as_("acme", Role.READER, ("x-cascade-tenant", "globex"))
    other = await refused(guarded.call(RANK, GOOD, wrong))
    assert (other.code, other.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    assert other.facts["kind"] == "tenant"


async def test_the_log_says_who_asked_and_nothing_of_secrets(guarded: Any, refused: Any) -> None:
    with capture_logs() as logs:
        await guarded.call(RANK, GOOD, guarded.as_("acme", Role.READER))
        await refused(guarded.call(RANK, GOOD, guarded.as_("acme", Role.READER, ("x-cascade-tenant", "globex"))))
        await refused(guarded.call(RANK, GOOD, (("authorization", "Bearer csk_made_" + "U" * 43),)))
    good, other, forged = (line for line in logs if line["event"] == "request")
    key_id = guarded.key_ids["acme", Role.READER]
    assert (good["subject"], good["tenant"], good["code"]) == (key_id, "acme", "OK")
    assert (other["subject"], other["code"]) == (key_id, "PERMISSION_DENIED")
    assert "tenant" not in other
    assert "subject" not in forged
    assert guarded.secrets["acme", Role.READER][-43:] not in str(logs)
    assert "U" * 43 not in str(logs)


async def test_refused_callers_are_counted_under_nobodys_name(guarded: Any, refused: Any) -> None:
    counted = {"tenant": "other", "reason": "unknown_key"}
    before = await guarded.running.metrics()
    forged = (("authorization", "Bearer csk_made_" + "U" * 43), ("x-cascade-tenant", "acme"))
    await refused(guarded.call(RANK, GOOD, forged))
    await refused(guarded.call(RANK, GOOD, guarded.as_("globex", Role.READER, ("x-cascade-tenant", "acme"))))
    after = await guarded.running.metrics()
    name = ("cascade_refused_total", frozenset(counted.items()))
    assert after[name] == before.get(name, 0) + 1
    of_acme = [key for key in after if ("tenant", "acme") in key[1]]
    assert {key: before.get(key, 0) for key in of_acme} == {key: after[key] for key in of_acme}


async def test_a_message_is_not_read_before_its_sender_is_known(guarded: Any, refused: Any) -> None:
    nonsense = b"\x12\xff\xff"
    assert (await refused(guarded.call(RANK, nonsense))).code is grpc.StatusCode.UNAUTHENTICATED
    known = await refused(guarded.call(RANK, nonsense, guarded.as_("acme", Role.READER)))
    assert known.code is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_stream_is_refused_before_anything_of_it_is_read(guarded: Any) -> None:
    upsert = guarded.running.indexes.UpsertDocuments(metadata=guarded.as_("acme", Role.READER))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await upsert
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_reflection_takes_a_reader(guarded: Any, refused: Any) -> None:
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    listed = await guarded.call(REFLECTION, request, guarded.as_("acme", Role.READER))
    assert b"cascade_api.v1.RankingService" in listed
    assert (await refused(guarded.call(REFLECTION, request))).code is grpc.StatusCode.UNAUTHENTICATED


async def test_what_is_no_rpc_stays_unimplemented(guarded: Any, refused: Any) -> None:
    for rpc in ("/cascade_api.v1.RankingService/Rank2", "/cascade_api.v1.NoService/Rank", "/grpc.health.v1.Health/X"):
        for metadata in ((), guarded.as_(None, Role.ADMIN)):
            call = guarded.running.channel.unary_unary(rpc)(b"", metadata=metadata)
            assert (await refused(call)).code is grpc.StatusCode.UNIMPLEMENTED


async def test_a_revoked_key_opens_nothing_within_a_second(guarded: Any, refused: Any) -> None:
    key, secret = guarded.store.create_key("test", "acme", Role.READER)
    metadata = (("authorization", f"Bearer {secret}"),)
    await becomes(lambda: guarded.call(INFO, metadata=metadata), grpc.StatusCode.OK)
    guarded.store.revoke_key("test", key.key_id, None)
    await becomes(lambda: guarded.call(INFO, metadata=metadata), grpc.StatusCode.UNAUTHENTICATED)


async def test_the_first_key_closes_a_running_server_and_revoking_it_does_not_open_it(
    serve: Any, configs: Any, tmp_path: Any, refused: Any
) -> None:
    async with serve(tmp_path, {"plain": configs["plain"]}) as running:
        assert (await running.rank()).results
        store = Store(running.server.settings.store_at)
        key, _ = store.create_key("test", None, Role.ADMIN)
        await becomes(running.rank, grpc.StatusCode.UNAUTHENTICATED)
        store.revoke_key("test", key.key_id, None)
        store.close()
        assert (await refused(running.rank())).code is grpc.StatusCode.UNAUTHENTICATED
    async with serve(tmp_path, {"plain": configs["plain"]}) as again:
        assert (await refused(again.rank())).code is grpc.StatusCode.UNAUTHENTICATED
        assert await again.serving()


async def test_tls_client_certificates_and_keys_end_to_end(
    serve: Any, configs: Any, tmp_path: Any, authority: Any, stranger: Any, refused: Any
) -> None:
    root = tmp_path / "ca.pem"
    root.write_bytes(stranger.root)
    settings = authority.server().write(tmp_path) | {"tls_client_ca": root}
    store = Store(Settings(data_dir=tmp_path).store_at)
    store.migrate()
    store.create_key("test", "default", Role.READER, certificate_name="spiffe://example/search")
    _, secret = store.create_key("test", "default", Role.WRITER)
    store.close()
    request = index_pb2.CreateIndexRequest(name="fruit")
    async with serve(tmp_path, {"plain": configs["plain"]}, **settings) as running:
        for name, code in (("spiffe://example/search", "PERMISSION_DENIED"), ("unknown.example", "UNAUTHENTICATED")):
            issued = stranger.issue("client", name)
            shown = grpc.ssl_channel_credentials(authority.root, issued.key, issued.certificate)
            options = [("grpc.use_local_subchannel_pool", 1)]
            async with grpc.aio.secure_channel(f"127.0.0.1:{running.server.port}", shown, options) as channel:
                create = channel.unary_unary(
                    "/cascade_api.v1.IndexService/CreateIndex", request_serializer=type(request).SerializeToString
                )
                assert (await refused(create(request))).code.name == code
                both = create(request, metadata=(("authorization", f"Bearer {secret}"),))
                if code == "PERMISSION_DENIED":
                    refusal = await refused(both)
                    assert refusal.facts["kind"] == "conflicting"
                else:
                    assert await both


class Ended(Exception):
    """Ends a call, as gRPC does."""


class Told:
    """A gRPC context of a caller that names a tenant."""

    def __init__(self, tenant: str) -> None:
        self._tenant = tenant

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return (("x-cascade-tenant", self._tenant),)

    def peer(self) -> str:
        return "ipv4:127.0.0.1:5000"

    async def abort(self, code: grpc.StatusCode, _message: str, _trailing: object) -> None:
        raise Ended(code)


async def test_ten_thousand_made_up_tenants_are_one_series() -> None:
    metrics = Metrics()
    tenants: Any = {"default": None}
    metrics.configured({"default": {}})
    access = AccessCheck(Authenticator(Settings(), State))

    async def call(number: int, rpc: str) -> None:
        context: Any = Told(f"tenant-{number}")
        async with RequestScope(rpc, context, access, tenants, metrics) as scope:
            await scope.admit()
            raise NotFoundError("tenant", "made up", None)

    with capture_logs():
        for number in range(10_000):
            with pytest.raises(Ended):
                await call(number, RANK if number % 2 else "/cascade_api.v1.IndexService/GetIndex")
    counted = [
        (sample.name, sample.labels["tenant"], sample.value)
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.labels.get("tenant") and sample.name in ("cascade_requests_total", "cascade_index_requests_total")
    ]
    assert sorted(counted) == [
        ("cascade_index_requests_total", "other", 5000.0),
        ("cascade_requests_total", "other", 5000.0),
    ]


async def test_tokens_end_to_end(
    serve: Any, configs: Any, tmp_path: Any, signer: Any, forge: Any, refused: Any
) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(signer.published)
    settings = {"jwt_jwks": str(path), "jwt_audience": "cascade", "jwt_issuer": "https://issuer.example"}
    async with serve(tmp_path / "data", {"plain": configs["plain"]}, **settings) as running:

        def info(token: str, *more: tuple[str, str]) -> Awaitable[server_pb2.GetInfoResponse]:
            metadata = (("authorization", f"Bearer {token}"), *more)
            found: Awaitable[server_pb2.GetInfoResponse] = running.info.GetInfo(
                server_pb2.GetInfoRequest(), metadata=metadata
            )
            return found

        for algorithm in ("RS256", "ES256"):
            token = signer.token(algorithm=algorithm, cascade_tenant="default", cascade_role="reader")
            assert (await info(token)).tenant == "default"
        operator = signer.token(cascade_tenant="*", cascade_role="admin")
        assert (await info(operator, ("x-cascade-tenant", "default"))).tenant == "default"
        none = forge({"alg": "none", "kid": "ec"}, signer.claims(cascade_tenant="*", cascade_role="admin"))
        for bad, kind in (
            (none, "invalid_token"),
            (signer.token(aud="other"), "invalid_token"),
            (signer.token(exp=1), "expired_token"),
        ):
            refusal = await refused(info(bad))
            assert (refusal.code, refusal.facts["kind"]) == (grpc.StatusCode.UNAUTHENTICATED, kind)
        stranger = signer.token(cascade_tenant="nobody", cascade_role="reader")
        assert (await refused(info(stranger))).code is grpc.StatusCode.NOT_FOUND
        huge = await refused(info("x" * 1_000_000))
        assert huge.code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.RESOURCE_EXHAUSTED)
        assert (await refused(running.rank())).code is grpc.StatusCode.UNAUTHENTICATED

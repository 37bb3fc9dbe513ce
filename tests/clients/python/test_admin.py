"""Managing a real server through either client."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import grpc
import pytest

from cascade.config import parse
from cascade_api.v1 import admin_pb2
from cascade_client import (
    Admin,
    AlreadyExistsError,
    AsyncAdmin,
    Client,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    Priority,
    Quota,
    Role,
    UnavailableError,
    admin_calls,
)
from cascade_server.app import Server
from cascade_server.settings import Settings

V1 = "description: first\nretrieve: [{kind: bm25}]\ntiers: [{kind: identity, depth: 3}]\n"
V2 = "description: second\nretrieve: [{kind: bm25}]\ntiers: [{kind: identity, depth: 5}]\n"

_names = count(1)


@pytest.fixture(scope="module")
def real_target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The address of a running server, and an operator's secret."""
    settings = Settings(port=0, metrics_port=None, data_dir=tmp_path_factory.mktemp("data"))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = Server(settings, cascades=lambda: {"default": {"words": parse(V1, "words")}})
    try:
        port = asyncio.run_coroutine_threadsafe(server.start(), loop).result(60)
        with Client(f"127.0.0.1:{port}") as client:
            secret = client.admin.create_key(Role.ADMIN).secret
        yield f"127.0.0.1:{port}", secret
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(0), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture
def admin(connect: Any, real_target: tuple[str, str]) -> Any:
    """The control plane as an operator meets it."""
    address, secret = real_target
    return connect(address, api_key=secret).admin


@pytest.fixture
def tenant(admin: Any) -> str:
    """A tenant of this test alone."""
    name = f"tenant{next(_names)}"
    admin.create_tenant(name)
    return name


def test_a_tenant_lives_from_create_to_delete(admin: Any) -> None:
    quota = Quota(1000.5, 5000, 4, 50, 20, 9000, Priority.HIGH, 2.5)
    name = f"short-lived{next(_names)}"
    made = admin.create_tenant(name, quota)
    assert (made.name, made.quota, dict(made.rollouts)) == (name, quota, {})
    assert made.created_at.tzinfo is UTC
    with pytest.raises(AlreadyExistsError):
        admin.create_tenant(name)
    assert admin.set_quota(name, Quota(max_depth=7)).quota == Quota(max_depth=7)
    assert name in [tenant.name for tenant in admin.list_tenants()]
    admin.delete_tenant(name)
    with pytest.raises(NotFoundError):
        admin.delete_tenant(name)


def test_versions_are_kept_and_compared(admin: Any, tenant: str) -> None:
    first, again, second = (admin.put_cascade("search", text, tenant=tenant) for text in (V1, V1 + "# same\n", V2))
    assert (first.created, again.created, second.created) == (True, False, True)
    assert first.version == again.version
    assert (second.version.version, second.version.description) == (2, "second")
    found = admin.list_versions(tenant=tenant)
    assert [version.version for version in found.versions] == [2, 1]
    assert found.rollouts == {}
    assert admin.get_version("search", 1, tenant=tenant).text == V1
    difference = admin.diff("search", 1, tenant=tenant)
    assert difference.changes == ('description: "first" -> "second"', "tiers.0.depth: 3 -> 5")
    assert "+description: second\n" in difference.diff


def test_a_cascade_is_validated(admin: Any, tenant: str) -> None:
    assert admin.validate_cascade(V1, tenant=tenant, load=True).problems == ()
    wrong = admin.validate_cascade("surprise: 1")
    assert len(wrong.problems) == 2
    assert wrong.config_hash == ""
    with pytest.raises(FailedPreconditionError):
        admin.put_cascade("search", "surprise: 1", tenant=tenant)


def test_versions_are_rolled_out_and_back(admin: Any, tenant: str) -> None:
    for text in (V1, V2):
        admin.put_cascade("search", text, tenant=tenant)
    assert admin.activate("search", 1, tenant=tenant).active == 1
    canary = admin.set_canary("search", 2, 10.0, tenant=tenant)
    assert (canary.canary, canary.canary_percent, canary.previous) == (2, 10.0, None)
    assert admin.set_canary("search", 0, 0, tenant=tenant).canary is None
    assert admin.set_shadow("search", 2, 5.5, tenant=tenant).shadow_percent == 5.5
    assert admin.activate("search", 2, tenant=tenant).previous == 1
    back = admin.roll_back("search", tenant=tenant)
    assert (back.active, back.previous) == (1, None)
    (found,) = [t for t in admin.list_tenants() if t.name == tenant]
    assert found.rollouts == {"search": back}
    admin.deactivate("search", tenant=tenant)
    assert admin.list_versions("search", tenant=tenant).rollouts == {}


def test_a_key_opens_what_its_tenant_has_until_it_is_revoked(
    connect: Any, real_target: tuple[str, str], admin: Any, tenant: str
) -> None:
    expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    made = admin.create_key("admin", tenant=tenant, label="theirs", expires_at=expires_at)
    assert made.secret not in repr(made)
    assert (made.key.tenant, made.key.role, made.key.label, made.key.expires_at) == (
        tenant,
        Role.ADMIN,
        "theirs",
        expires_at,
    )
    theirs = connect(real_target[0], api_key=made.secret).admin
    assert [t.name for t in theirs.list_tenants()] == [tenant]
    with pytest.raises(PermissionDeniedError):
        theirs.list_keys(tenant="default")
    ended = admin.revoke_key(made.key.key_id)
    assert ended == replace(made.key, revoked_at=ended.revoked_at)
    assert ended in admin.list_keys(tenant=tenant)


def test_changes_and_usage_can_be_read(admin: Any, tenant: str) -> None:
    (entry,) = admin.list_audit_entries(tenant=tenant, limit=1)
    assert (entry.action, entry.subject, entry.before) == ("create_tenant", tenant, "")
    assert admin.list_audit_entries(tenant=tenant, before=entry.number) == ()
    assert admin.get_usage(tenant=tenant, since="2026-01-01", until="2026-12-31") == ()


def test_values_that_no_request_can_hold_are_refused_with_their_field(admin: Any) -> None:
    for call, field in (
        (lambda: admin.create_tenant("a", Quota(burst_tokens=-1)), "quota.burst_tokens"),
        (lambda: admin.create_tenant("a", Quota(max_depth=1.5)), "quota.max_depth"),
        (lambda: admin.create_tenant("a", Quota(priority="urgent")), "quota.priority"),
        (lambda: admin.create_key("owner"), "role"),
        (lambda: admin.create_key("reader", expires_at=datetime(2099, 1, 1)), "expires_at"),
        (lambda: admin.activate("search", -1), "version"),
        (lambda: admin.put_cascade("search", "\udcff"), "text"),
    ):
        with pytest.raises(InvalidArgumentError) as caught:
            call()
        assert [v.field for v in caught.value.violations] == [field]


def test_what_might_happen_twice_is_not_repeated() -> None:
    made = {
        "CreateTenant": admin_calls.create_tenant("a", Quota()),
        "DeleteTenant": admin_calls.delete_tenant("a"),
        "RollBackCascade": admin_calls.roll_back("a", ""),
        "DeactivateCascade": admin_calls.deactivate("a", ""),
        "CreateKey": admin_calls.create_key("reader", "", "", None, ""),
        "ActivateCascade": admin_calls.activate("a", 1, ""),
        "RevokeKey": admin_calls.revoke_key("a"),
    }
    assert {name for name, call in made.items() if not call.idempotent} == set(made) - {"ActivateCascade", "RevokeKey"}


def test_both_clients_have_every_call_of_the_contract() -> None:
    methods = {
        kind: {name: inspect.signature(method) for name, method in vars(kind).items() if not name.startswith("_")}
        for kind in (Admin, AsyncAdmin)
    }
    assert methods[Admin] == methods[AsyncAdmin]
    assert len(methods[Admin]) == len(admin_pb2.DESCRIPTOR.services_by_name["AdminService"].methods)


def test_nobody_listening_is_unavailable(connect: Any) -> None:
    with pytest.raises(UnavailableError) as caught:
        connect("localhost:1", retries=0).admin.list_tenants()
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE

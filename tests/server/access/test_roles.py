"""Every RPC has a role, and every caller a tenant it acts for."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import pytest
from google.protobuf.descriptor import FileDescriptor
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

import cascade_api.v1
from cascade.errors import InvalidInputError
from cascade_server.access.principal import Principal
from cascade_server.access.refusals import Refusal
from cascade_server.access.roles import OPERATORS_ONLY, ROLES, acting_tenant, check_role, is_open
from cascade_server.control.state import Role

READER = Principal("key", "acme", Role.READER)
ADMIN = Principal("key", "acme", Role.ADMIN)
OPERATOR = Principal("root", None, Role.ADMIN)


def _files() -> list[FileDescriptor]:
    names = [m.name for m in pkgutil.iter_modules(cascade_api.v1.__path__) if m.name.endswith("_pb2")]
    ours = [importlib.import_module(f"cascade_api.v1.{name}").DESCRIPTOR for name in names]
    return [*ours, reflection_pb2.DESCRIPTOR]


EVERY_RPC = sorted(
    f"/{service.full_name}/{method.name}"
    for file in _files()
    for service in file.services_by_name.values()
    for method in service.methods
)


def test_every_rpc_of_every_service_names_its_role() -> None:
    assert sorted(ROLES) == EVERY_RPC
    assert set(ROLES) >= OPERATORS_ONLY


def test_only_health_is_open() -> None:
    health = health_pb2.DESCRIPTOR.services_by_name["Health"]
    assert all(is_open(f"/{health.full_name}/{method.name}") for method in health.methods)
    assert not any(is_open(rpc) for rpc in EVERY_RPC)
    assert not is_open("/grpc.health.v1.HealthX/Check")
    assert not is_open("/x/grpc.health.v1.Health/Check")


@pytest.mark.parametrize("rpc", EVERY_RPC)
def test_a_role_may_do_what_lesser_roles_may_and_no_more(rpc: str, refusing: Any) -> None:
    for role in Role:
        principal = Principal("root", None, role)
        if role >= ROLES[rpc]:
            check_role(principal, rpc)
        else:
            with refusing(Refusal.ROLE) as refusal:
                check_role(principal, rpc)
            assert f"needs the role {ROLES[rpc].name.lower()}, found {role.name.lower()}" in refusal.message


def test_writing_and_administering_are_not_for_readers() -> None:
    least = {rpc.rsplit("/", 1)[-1]: role for rpc, role in ROLES.items()}
    assert {least[name] for name in ("Rank", "RankStream", "GetInfo", "GetIndex", "ListIndexes")} == {Role.READER}
    assert {least[name] for name in ("CreateIndex", "UpsertDocuments", "DropIndex")} == {Role.WRITER}
    assert {role for rpc, role in ROLES.items() if "AdminService" in rpc} == {Role.ADMIN}


@pytest.mark.parametrize("rpc", sorted(OPERATORS_ONLY))
def test_a_tenants_admin_is_no_operator(rpc: str, refusing: Any) -> None:
    check_role(OPERATOR, rpc)
    with refusing(Refusal.ROLE):
        check_role(ADMIN, rpc)


def test_an_rpc_without_a_role_answers_nobody(refusing: Any) -> None:
    with refusing(Refusal.ROLE):
        check_role(OPERATOR, "/cascade_api.v1.FutureService/Do")


def test_a_tenants_caller_acts_for_its_tenant() -> None:
    assert acting_tenant(READER, ()) == "acme"
    assert acting_tenant(READER, (("x-cascade-tenant", "acme"),)) == "acme"


@pytest.mark.parametrize("other", ["default", "no-such-tenant", "ACME", "acme ", "../acme", "", b"\xff"])
def test_another_tenant_is_refused_whether_or_not_it_exists(other: str | bytes, refusing: Any) -> None:
    with refusing(Refusal.TENANT) as refusal:
        acting_tenant(READER, (("x-cascade-tenant", other),))
    assert refusal.message == ("this caller acts for tenant 'acme' only; leave x-cascade-tenant out, or name that one")


def test_an_operator_acts_for_the_tenant_it_names_or_the_default() -> None:
    assert acting_tenant(OPERATOR, ()) == "default"
    assert acting_tenant(OPERATOR, (("x-cascade-tenant", "acme"),)) == "acme"


@pytest.mark.parametrize("principal", [READER, OPERATOR])
def test_two_tenants_in_one_request_are_refused(principal: Principal) -> None:
    named = (("x-cascade-tenant", "acme"), ("x-cascade-tenant", "globex"))
    with pytest.raises(InvalidInputError, match="found 2 different tenants"):
        acting_tenant(principal, named)

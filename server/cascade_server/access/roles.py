"""What each RPC takes: the least role, whether only operators may call it, and the tenant that it acts for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cascade.errors import InvalidInputError, Violation
from cascade_server.access.principal import Principal
from cascade_server.access.refusals import Refusal
from cascade_server.cascade_files import DEFAULT_TENANT
from cascade_server.control.state import Role
from cascade_server.errors import PermissionDeniedError

TENANT_METADATA = "x-cascade-tenant"

Metadata = Iterable[tuple[str, str | bytes]]

OPEN_SERVICES = frozenset({"grpc.health.v1.Health"})
"""What anybody may call: balancers and orchestrators have no credentials."""

_READ = ("RankingService/Rank", "RankingService/RankStream", "IndexService/GetIndex", "IndexService/ListIndexes")
_WRITE = (
    "IndexService/CreateIndex",
    "IndexService/UpsertDocuments",
    "IndexService/DeleteDocuments",
    "IndexService/DropIndex",
)
# Versions of cascades name models and addresses, so reading them too is for those who may change them.
_ADMINISTER = (
    "CreateTenant",
    "SetQuota",
    "ListTenants",
    "DeleteTenant",
    "ValidateCascade",
    "PutCascade",
    "ListCascadeVersions",
    "GetCascadeVersion",
    "DiffCascade",
    "ActivateCascade",
    "RollBackCascade",
    "SetCanary",
    "SetShadow",
    "DeactivateCascade",
    "CreateKey",
    "ListKeys",
    "RevokeKey",
    "ListAuditEntries",
    "GetUsage",
)

ROLES: Mapping[str, Role] = {
    **{f"/cascade_api.v1.{name}": Role.READER for name in (*_READ, "ServerService/GetInfo")},
    **{f"/cascade_api.v1.{name}": Role.WRITER for name in _WRITE},
    **{f"/cascade_api.v1.AdminService/{name}": Role.ADMIN for name in _ADMINISTER},
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Role.READER,
}
"""The least role of every RPC but those of OPEN_SERVICES; an RPC that is not here answers nobody."""

OPERATORS_ONLY = frozenset(
    f"/cascade_api.v1.AdminService/{name}" for name in ("CreateTenant", "SetQuota", "DeleteTenant")
)
"""RPCs that no tenant's admin may call."""


def is_open(method: str) -> bool:
    """Whether the RPC `/service/name` asks for no credentials."""
    return method.strip("/").split("/")[0] in OPEN_SERVICES


def check_role(principal: Principal, method: str) -> None:
    """Raises PermissionDeniedError unless `principal` may call the RPC `/service/name`."""
    name = method.rsplit("/", 1)[-1]
    needed = ROLES.get(method)
    if needed is None:
        raise PermissionDeniedError(f"{name} has no role that may call it", Refusal.ROLE)
    if principal.role < needed:
        found, expected = principal.role.name.lower(), needed.name.lower()
        raise PermissionDeniedError(
            f"{name} needs the role {expected}, found {found}; ask for a key with that role", Refusal.ROLE
        )
    if method in OPERATORS_ONLY and principal.tenant is not None:
        raise PermissionDeniedError(f"{name} is for operators, found a caller of one tenant", Refusal.ROLE)


def named_tenant(metadata: Metadata) -> str | None:
    """The tenant that a request names in its metadata, known or not. Raises InvalidInputError when it names two."""
    named = {_text(value) for key, value in metadata if key == TENANT_METADATA}
    if len(named) > 1:
        raise InvalidInputError([Violation(TENANT_METADATA, f"found {len(named)} different tenants, expected one")])
    return next(iter(named), None)


def acting_tenant(principal: Principal, metadata: Metadata) -> str:
    """The tenant that a request of `principal` acts for: its own, or, of an operator, the one that it names.

    Raises PermissionDeniedError when a tenant's caller names another, whether or not there is one of that name.
    """
    named = named_tenant(metadata)
    if principal.tenant is None:
        return DEFAULT_TENANT if named is None else named
    if named is not None and named != principal.tenant:
        raise PermissionDeniedError(
            f"this caller acts for tenant {principal.tenant!r} only; leave {TENANT_METADATA} out, or name that one",
            Refusal.TENANT,
        )
    return principal.tenant


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode(errors="replace")

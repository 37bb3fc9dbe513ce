"""Whom a caller of AdminService may act on: a tenant's admin on its own tenant, an operator on all."""

from __future__ import annotations

from cascade_server.access.principal import Principal
from cascade_server.access.refusals import Refusal
from cascade_server.control.state import Role
from cascade_server.errors import PermissionDeniedError, UnauthenticatedError
from cascade_server.interceptors.record import current
from cascade_server.status import shorten


def caller() -> Principal:
    """Who asks. Raises UnauthenticatedError where nobody has checked that."""
    found = current().principal
    if found is None:
        raise UnauthenticatedError("the caller is not known; send a key or a token", Refusal.NO_CREDENTIALS)
    return found


def operator() -> str:
    """The name of the caller, for the audit log. Raises PermissionDeniedError unless it is an operator."""
    found = caller()
    if found.tenant is not None:
        raise PermissionDeniedError("this takes an operator, whose key belongs to no tenant", Refusal.ROLE)
    return found.subject


def acted_on(tenant: str) -> str:
    """The tenant to act on, for the `tenant` of a request, which may be empty. Raises PermissionDeniedError."""
    found = caller()
    if found.tenant is None:
        named = tenant or current().acting_tenant
        current().fields["tenant"] = shorten(named, 63)
        return named
    if tenant not in ("", found.tenant):
        # The same for a tenant that is there and for one that is not.
        raise PermissionDeniedError("an admin acts on its own tenant only; another takes an operator", Refusal.TENANT)
    return found.tenant


def looked_at(tenant: str) -> str | None:
    """As acted_on, but an operator that names none, in metadata neither, means all of them, which is None."""
    all_of_them = caller().tenant is None and not tenant and current().named_tenant is None
    return None if all_of_them else acted_on(tenant)


def check_certificate(name: str | None) -> None:
    """Raises PermissionDeniedError unless the caller may say for whom certificates of that name stand, None for none.

    Names of certificates are of no tenant: who could claim any would be called with another tenant's documents.
    """
    if name is not None and caller().tenant is not None:
        raise PermissionDeniedError("a key for a certificate takes an operator, who knows whose it is", Refusal.ROLE)


def at_most_own(role: Role) -> Role:
    """The role of a new key. Raises PermissionDeniedError for more than the caller has."""
    if role > caller().role:
        most = caller().role.name.lower()
        raise PermissionDeniedError(f"a key's role is at most its maker's, {most}", Refusal.ROLE)
    return role

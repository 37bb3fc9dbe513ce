"""Tenants in the store, and what each may use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from cascade.errors import AlreadyExistsError
from cascade_server.cascade_files import DEFAULT_TENANT
from cascade_server.control import keys, rollouts, schema
from cascade_server.control.change import Change
from cascade_server.control.checks import check_name, check_quota
from cascade_server.control.known import has_tenant, require_tenant
from cascade_server.control.state import Quota, TenantState
from cascade_server.errors import ConflictError

_QUOTA = tuple(field.name for field in fields(Quota))


def get(connection: Connection, name: str) -> TenantState:
    """The tenant `name` with its rollouts. Raises NotFoundError."""
    require_tenant(connection, name)
    row = connection.execute(select(schema.tenants).where(schema.tenants.c.name == name)).one()
    return TenantState(row.name, row.created_at, _quota(row), rollouts.of_tenant(connection, name))


def everyone(connection: Connection) -> Sequence[TenantState]:
    """All tenants with their rollouts, by name."""
    served = rollouts.of_all(connection)
    rows = connection.execute(select(schema.tenants).order_by(schema.tenants.c.name))
    return [TenantState(row.name, row.created_at, _quota(row), served.get(row.name, {})) for row in rows]


def create(change: Change, name: str, quota: Quota) -> TenantState:
    """Add the tenant `name`. Raises AlreadyExistsError."""
    check_name("name", name)
    check_quota(quota)
    if has_tenant(change.connection, name):
        raise AlreadyExistsError("tenant", name)
    change.connection.execute(insert(schema.tenants).values(name=name, created_at=change.now, **asdict(quota)))
    change.record("create_tenant", tenant=name, subject=name, after={"quota": _shown(quota)})
    return TenantState(name, change.now, quota)


def set_quota(change: Change, name: str, quota: Quota) -> TenantState:
    """Replace the quota of `name`. Raises NotFoundError."""
    check_quota(quota)
    before = get(change.connection, name)
    if before.quota != quota:
        change.connection.execute(update(schema.tenants).where(schema.tenants.c.name == name).values(**asdict(quota)))
        shown = {"before": _shown(before.quota), "after": _shown(quota)}
        change.record("set_quota", tenant=name, subject=name, **shown)
    return TenantState(name, before.created_at, quota, before.rollouts)


def remove(change: Change, name: str) -> None:
    """Remove the tenant `name` with its cascades and revoke its keys. Raises NotFoundError, ConflictError."""
    before = get(change.connection, name)
    if name == DEFAULT_TENANT:
        raise ConflictError(f"tenant {name!r} is always there; deactivate its cascades and revoke its keys instead")
    revoked = keys.revoke_all(change, name)
    change.connection.execute(delete(schema.tenants).where(schema.tenants.c.name == name))
    served = {cascade: asdict(rollout) for cascade, rollout in before.rollouts.items()}
    shown = {"quota": _shown(before.quota), "rollouts": served, "revoked_keys": revoked}
    change.record("delete_tenant", tenant=name, subject=name, before=shown)


def _quota(row: Row[Any]) -> Quota:
    return Quota(**{name: getattr(row, name) for name in _QUOTA})


def _shown(quota: Quota) -> dict[str, Any]:
    values = {name: value for name, value in asdict(quota).items() if value is not None}
    return values | {"priority": quota.priority.name.lower()}

"""What must be in the store before anything can be hung on it."""

from __future__ import annotations

from sqlalchemy import Connection, select

from cascade.errors import NotFoundError
from cascade_server.control import schema
from cascade_server.control.checks import check_name


def require_tenant(connection: Connection, name: str) -> None:
    """Raises NotFoundError, which does not list the others, unless the store has the tenant `name`."""
    check_name("tenant", name)
    if not has_tenant(connection, name):
        raise NotFoundError("tenant", name, None)


def has_tenant(connection: Connection, name: str) -> bool:
    """Whether the store has the tenant `name`."""
    return connection.execute(select(schema.tenants.c.name).where(schema.tenants.c.name == name)).first() is not None

"""Versions of cascades in the store: put once, numbered from 1 without gaps, never changed."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select

from cascade.config import CascadeConfig, parse
from cascade.errors import ConfigError, NotFoundError
from cascade_server.control import schema
from cascade_server.control.change import Change
from cascade_server.control.checks import check_name
from cascade_server.control.known import require_tenant
from cascade_server.control.state import Version

_TABLE = schema.versions


def read(tenant: str, cascade: str, text: str) -> CascadeConfig:
    """What `text` says, when it may be put. Raises InvalidInputError for the names, ConfigError for the text."""
    check_name("tenant", tenant)
    check_name("cascade", cascade)
    config = parse(text, f"{tenant}/{cascade}")
    if "\0" in config.description:
        raise ConfigError(f"{tenant}/{cascade}", ["description: found a NUL character, which cannot be kept"])
    return config


def put(change: Change, tenant: str, cascade: str, text: str, config: CascadeConfig) -> tuple[Version, bool]:
    """Keep `text`, which says `config`, as the next version; what means the same as the latest is that one, False."""
    require_tenant(change.connection, tenant)
    latest = _latest(change.connection, tenant, cascade)
    if latest is not None and latest.config_hash == config.config_hash:
        return latest, False
    version = Version(
        tenant=tenant,
        cascade=cascade,
        number=1 if latest is None else latest.number + 1,
        config_hash=config.config_hash,
        description=config.description,
        text=text,
        created_by=change.actor,
        created_at=change.now,
    )
    values = {column.name: getattr(version, column.name) for column in _TABLE.columns}
    change.connection.execute(insert(_TABLE).values(values))
    shown = {"version": version.number, "config_hash": version.config_hash, "description": version.description}
    change.record("put_cascade", tenant=tenant, subject=cascade, after=shown)
    return version, True


def get(connection: Connection, tenant: str, cascade: str, number: int = 0) -> Version:
    """Version `number` of a cascade, 0 for the newest. Raises NotFoundError, for tenant, cascade or version."""
    require_tenant(connection, tenant)
    check_name("cascade", cascade)
    latest = _latest(connection, tenant, cascade)
    if latest is None:
        named = select(_TABLE.c.cascade).where(_TABLE.c.tenant == tenant).distinct()
        raise NotFoundError("cascade", cascade, list(connection.execute(named).scalars()))
    if number in (0, latest.number):
        return latest
    if not 0 < number < latest.number:
        raise NotFoundError("version", str(number), [f"1 to {latest.number} of {cascade}"])
    chosen = select(_TABLE).where(_TABLE.c.tenant == tenant, _TABLE.c.cascade == cascade, _TABLE.c.number == number)
    return Version(**connection.execute(chosen).mappings().one())


def listed(connection: Connection, tenant: str, cascade: str = "") -> Sequence[Version]:
    """All versions of a tenant, or of one cascade, by cascade, newest first. Raises NotFoundError."""
    if cascade:
        get(connection, tenant, cascade)
    require_tenant(connection, tenant)
    chosen = select(_TABLE).where(_TABLE.c.tenant == tenant)
    if cascade:
        chosen = chosen.where(_TABLE.c.cascade == cascade)
    rows = connection.execute(chosen.order_by(_TABLE.c.cascade, _TABLE.c.number.desc()))
    return [Version(**row) for row in rows.mappings()]


def _latest(connection: Connection, tenant: str, cascade: str) -> Version | None:
    chosen = select(_TABLE).where(_TABLE.c.tenant == tenant, _TABLE.c.cascade == cascade)
    row = connection.execute(chosen.order_by(_TABLE.c.number.desc()).limit(1)).mappings().first()
    return None if row is None else Version(**row)

"""Keys in the store: whom they stand for, and until when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from cascade.errors import AlreadyExistsError, InvalidInputError, NotFoundError, Violation
from cascade_server.control import schema
from cascade_server.control.change import Change
from cascade_server.control.checks import check_expiry, check_label, check_name
from cascade_server.control.known import require_tenant
from cascade_server.control.secrets import is_key_id, new_key_id, new_secret
from cascade_server.control.state import Key, KeyDigest, Role

_TABLE = schema.keys


def create(
    change: Change,
    tenant: str | None,
    role: Role,
    label: str,
    expires_at: datetime | None,
    certificate_name: str | None,
) -> tuple[Key, str]:
    """A new key and its secret, which is not kept; a key for a certificate has none.

    Raises NotFoundError for the tenant, AlreadyExistsError for a certificate that stands for another key.
    """
    check_label("label", label)
    check_expiry(expires_at, change.now)
    if tenant is not None:
        require_tenant(change.connection, tenant)
    if certificate_name is not None:
        _check_certificate(change, certificate_name)
    key = Key(new_key_id(), tenant, Role(role), label, change.now, certificate_name, expires_at)
    secret, digest = ("", None) if certificate_name is not None else new_secret(key.key_id)
    change.connection.execute(insert(_TABLE).values(digest=digest, **asdict(key)))
    change.record("create_key", tenant=tenant or "", subject=key.key_id, after=_shown(key))
    return key, secret


def revoke(change: Change, key_id: str, tenant: str | None) -> Key:
    """End a key; one that has ended stays as it is. Raises NotFoundError, also for a key that is not `tenant`'s."""
    row = None
    if is_key_id(key_id):
        row = change.connection.execute(select(_TABLE).where(_TABLE.c.key_id == key_id)).first()
    if row is None or tenant not in (None, row.tenant):
        raise NotFoundError("key", key_id, None)
    before = _key(row)
    if before.revoked_at is not None:
        return before
    after = replace(before, revoked_at=change.now)
    change.connection.execute(update(_TABLE).where(_TABLE.c.key_id == key_id).values(revoked_at=change.now))
    shown = {"before": _shown(before), "after": _shown(after)}
    change.record("revoke_key", tenant=before.tenant or "", subject=key_id, **shown)
    return after


def revoke_all(change: Change, tenant: str) -> list[str]:
    """End all keys of a tenant, as part of its removal; their ids."""
    chosen = (_TABLE.c.tenant == tenant, _TABLE.c.revoked_at.is_(None))
    ended = list(change.connection.execute(select(_TABLE.c.key_id).where(*chosen)).scalars())
    change.connection.execute(update(_TABLE).where(*chosen).values(revoked_at=change.now))
    return ended


def listed(connection: Connection, tenant: str | None) -> Sequence[Key]:
    """The keys of a tenant, or of all for None, by tenant (operators first), newest first."""
    chosen = select(_TABLE).order_by(_TABLE.c.created_at.desc(), _TABLE.c.key_id)
    if tenant is not None:
        check_name("tenant", tenant)
        chosen = chosen.where(_TABLE.c.tenant == tenant)
    return sorted((_key(row) for row in connection.execute(chosen)), key=lambda key: key.tenant or "")


def usable(connection: Connection, now: datetime) -> dict[str, KeyDigest]:
    """The keys that open something at `now`, by id, with their digests."""
    rows = connection.execute(select(_TABLE).where(_TABLE.c.revoked_at.is_(None)))
    digests = (KeyDigest(_key(row), row.digest) for row in rows)
    return {found.key.key_id: found for found in digests if found.key.usable(now)}


def ever_made(connection: Connection) -> bool:
    """Whether there is a key, one that has ended among them."""
    return connection.execute(select(_TABLE.c.key_id).limit(1)).first() is not None


def _check_certificate(change: Change, name: str) -> None:
    check_label("certificate_name", name)
    if not name:
        raise InvalidInputError([Violation("certificate_name", "found an empty name, which no certificate has")])
    others = (digest.key for digest in usable(change.connection, change.now).values())
    if any(key.certificate_name == name for key in others):
        raise AlreadyExistsError("certificate", name)


def _key(row: Row[Any]) -> Key:
    return Key(
        row.key_id,
        row.tenant,
        row.role,
        row.label,
        row.created_at,
        row.certificate_name,
        row.expires_at,
        row.revoked_at,
    )


def _shown(key: Key) -> dict[str, Any]:
    values = {name: value for name, value in asdict(key).items() if value is not None}
    times = {name: value.isoformat() for name, value in values.items() if isinstance(value, datetime)}
    return values | times | {"role": key.role.name.lower()}

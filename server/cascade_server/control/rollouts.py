"""Which versions of a cascade answer, in the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Literal

from sqlalchemy import Connection, delete, insert, select, update

from cascade.errors import NotFoundError
from cascade_server.control import schema, versions
from cascade_server.control.change import Change
from cascade_server.control.checks import check_name, check_percent
from cascade_server.control.state import Rollout
from cascade_server.errors import ConflictError

_TABLE = schema.rollouts


def of_all(connection: Connection) -> Mapping[str, Mapping[str, Rollout]]:
    """Every rollout, by tenant and cascade."""
    found: dict[str, dict[str, Rollout]] = {}
    for row in connection.execute(select(_TABLE).order_by(_TABLE.c.tenant, _TABLE.c.cascade)).mappings():
        found.setdefault(row["tenant"], {})[row["cascade"]] = _rollout(row)
    return found


def of_tenant(connection: Connection, tenant: str) -> Mapping[str, Rollout]:
    """A tenant's rollouts, by cascade."""
    rows = connection.execute(select(_TABLE).where(_TABLE.c.tenant == tenant).order_by(_TABLE.c.cascade)).mappings()
    return {row["cascade"]: _rollout(row) for row in rows}


def activate(change: Change, tenant: str, cascade: str, number: int) -> Rollout:
    """Have version `number` answer; the one before is kept for `roll_back`. Raises NotFoundError.

    A canary or shadow of that version has reached its end.
    """
    version = versions.get(change.connection, tenant, cascade, _positive(number))
    before = of_tenant(change.connection, tenant).get(cascade)
    if before is None:
        return _write(change, "activate_cascade", tenant, None, Rollout(cascade, version.number))
    if before.active == version.number:
        return before
    after = _made_active(before, version.number, previous=before.active)
    return _write(change, "activate_cascade", tenant, before, after)


def roll_back(change: Change, tenant: str, cascade: str) -> Rollout:
    """Have the version that was active before answer again, and end any canary. Raises NotFoundError, ConflictError.

    The version that is left is not kept as previous: two people who roll back at once must not undo each other.
    """
    before = _served(change.connection, tenant, cascade)
    if before.previous is None:
        raise ConflictError(f"cascade {cascade!r} has no version to roll back to; activate one by its number")
    after = replace(_made_active(before, before.previous, previous=None), canary=None, canary_percent=0.0)
    return _write(change, "roll_back_cascade", tenant, before, after)


def set_share(
    change: Change, kind: Literal["canary", "shadow"], tenant: str, cascade: str, number: int | None, percent: float
) -> Rollout:
    """Have version `number` answer, or run on copies of, `percent` of the requests; None ends that.

    Raises NotFoundError, and ConflictError without an active version beside it.
    """
    check_percent(percent)
    before = _served(change.connection, tenant, cascade)
    if number is not None:
        number = versions.get(change.connection, tenant, cascade, _positive(number)).number
        if number == before.active:
            raise ConflictError(f"version {number} of {cascade!r} is active already; name another as its {kind}")
    share: dict[str, Any] = {kind: number, f"{kind}_percent": 0.0 if number is None else float(percent)}
    after = replace(before, **share)
    return before if after == before else _write(change, f"set_{kind}", tenant, before, after)


def deactivate(change: Change, tenant: str, cascade: str) -> None:
    """Stop serving a cascade; its versions stay. Raises NotFoundError, ConflictError when none is active."""
    before = _served(change.connection, tenant, cascade)
    change.connection.execute(delete(_TABLE).where(_TABLE.c.tenant == tenant, _TABLE.c.cascade == cascade))
    change.record("deactivate_cascade", tenant=tenant, subject=cascade, before=asdict(before))


def _made_active(rollout: Rollout, number: int, *, previous: int | None) -> Rollout:
    after = replace(rollout, active=number, previous=previous)
    if after.canary == number:
        after = replace(after, canary=None, canary_percent=0.0)
    if after.shadow == number:
        after = replace(after, shadow=None, shadow_percent=0.0)
    return after


def _served(connection: Connection, tenant: str, cascade: str) -> Rollout:
    check_name("cascade", cascade)
    versions.get(connection, tenant, cascade)
    rollout = of_tenant(connection, tenant).get(cascade)
    if rollout is None:
        raise ConflictError(f"cascade {cascade!r} has no active version; activate one first")
    return rollout


def _rollout(row: Mapping[Any, Any]) -> Rollout:
    return Rollout(**{name: value for name, value in row.items() if name != "tenant"})


def _positive(number: int) -> int:
    if number < 1:  # 0 would stand for the newest, which is no answer to what shall be served
        raise NotFoundError("version", str(number), ["a number from 1"])
    return number


def _write(change: Change, action: str, tenant: str, before: Rollout | None, after: Rollout) -> Rollout:
    values = asdict(after)
    if before is None:
        change.connection.execute(insert(_TABLE).values(tenant=tenant, **values))
    else:
        chosen = (_TABLE.c.tenant == tenant, _TABLE.c.cascade == after.cascade)
        change.connection.execute(update(_TABLE).where(*chosen).values(**values))
    shown = None if before is None else asdict(before)
    change.record(action, tenant=tenant, subject=after.cascade, before=shown, after=values)
    return after

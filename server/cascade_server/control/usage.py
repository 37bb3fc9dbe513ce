"""What was used, in the store: sums by tenant, cascade and day, to which every server adds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, case, select
from sqlalchemy.dialects import postgresql, sqlite

from cascade_server.control import schema
from cascade_server.control.checks import check_day, check_name
from cascade_server.control.state import Usage

_TABLE = schema.usage


def add(connection: Connection, rows: Sequence[Usage]) -> None:
    """Add `rows` to what is there, by one statement each, so that servers may add at the same time."""
    new = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    # One order for all, or two servers could each hold what the other waits for.
    for row in sorted(rows, key=lambda row: (row.tenant, row.cascade, row.day)):
        statement = new(_TABLE).values(asdict(row))
        more = statement.excluded
        cost = case(
            (_TABLE.c.cost.is_(None), more.cost),
            (more.cost.is_(None), _TABLE.c.cost),
            else_=_TABLE.c.cost + more.cost,
        )
        sums: dict[str, Any] = {name: _TABLE.c[name] + more[name] for name in ("requests", "degraded", "tokens")}
        connection.execute(
            statement.on_conflict_do_update(index_elements=list(_TABLE.primary_key), set_=sums | {"cost": cost})
        )


def listed(connection: Connection, tenant: str | None, since: str, until: str) -> Sequence[Usage]:
    """The sums of a tenant or of all, from day `since` to day `until`, each open when empty, by day first."""
    chosen = select(_TABLE).order_by(_TABLE.c.day, _TABLE.c.tenant, _TABLE.c.cascade)
    if tenant is not None:
        check_name("tenant", tenant)
        chosen = chosen.where(_TABLE.c.tenant == tenant)
    check_day("since", since)
    check_day("until", until)
    if since:
        chosen = chosen.where(_TABLE.c.day >= since)
    if until:
        chosen = chosen.where(_TABLE.c.day <= until)
    return [Usage(**row) for row in connection.execute(chosen).mappings()]

"""The log of changes in the store."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from cascade_server.control import schema
from cascade_server.control.checks import check_name
from cascade_server.control.state import AuditEntry

MAX_ENTRIES = 1000
_TABLE = schema.audit


def listed(connection: Connection, tenant: str | None, limit: int, before: int) -> Sequence[AuditEntry]:
    """The newest entries, at most `limit` of them, of a tenant or of all; `before` 0 or only those numbered lower."""
    chosen = select(_TABLE).order_by(_TABLE.c.number.desc()).limit(max(1, min(limit, MAX_ENTRIES)))
    if tenant is not None:
        check_name("tenant", tenant)
        chosen = chosen.where(_TABLE.c.tenant == tenant)
    if before:
        chosen = chosen.where(_TABLE.c.number < min(before, 2**63 - 1))
    return [AuditEntry(**row) for row in connection.execute(chosen).mappings()]

"""One change of the store: what is done, its audit entry and the next revision, in one transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, update

from cascade_server.control import schema

_MAX_ACTOR_CHARS = 200


class Change:
    """A transaction that shuts out all other changes; `number` is the revision so far."""

    def __init__(self, connection: Connection, number: int, actor: str, now: datetime) -> None:
        self.connection = connection
        self.number = number
        self.now = now
        # Subjects of tokens are anybody's text, and PostgreSQL keeps neither NUL nor half a character.
        self.actor = actor.encode(errors="replace").decode().replace("\0", "?")[:_MAX_ACTOR_CHARS]

    def record(
        self,
        action: str,
        *,
        tenant: str,
        subject: str,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """Enter what was done in the audit log, as the next revision; what is not recorded is no change."""
        self.number += 1
        self.connection.execute(update(schema.revision).values(number=self.number))
        self.connection.execute(
            insert(schema.audit).values(
                number=self.number,
                at=self.now,
                actor=self.actor,
                action=action,
                tenant=tenant,
                subject=subject,
                before=_json(before),
                after=_json(after),
            )
        )


def _json(value: Mapping[str, Any] | None) -> str:
    return "" if value is None else json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)

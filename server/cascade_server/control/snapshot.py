"""The state of the store as of one moment, with the cascades that run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import structlog
from sqlalchemy import Connection, or_, select

from cascade.config import CascadeConfig, parse
from cascade.errors import ConfigError
from cascade_server.control import keys, schema, tenants
from cascade_server.control.state import State

log = structlog.get_logger()


def read_state(
    connection: Connection, now: datetime, parsed: Mapping[str, CascadeConfig]
) -> tuple[State, Mapping[str, CascadeConfig]]:
    """What is in force at `now`, and the cascades that run by their texts, `parsed` of those that ran before.

    A text that this release cannot read is left out, and said in the state's `unreadable`.
    """
    revision = connection.execute(select(schema.revision.c.number)).scalar_one()
    configs: dict[tuple[str, str, int], CascadeConfig] = {}
    unreadable: dict[tuple[str, str, int], str] = {}
    texts: dict[str, CascadeConfig] = {}
    for tenant, cascade, number, text in connection.execute(_RUNNING):
        place = (tenant, cascade, number)
        try:
            texts[text] = parsed.get(text) or parse(text, f"{tenant}/{cascade} version {number}")
            configs[place] = texts[text]
        except ConfigError as error:
            unreadable[place] = str(error)
            log.error("version_unreadable", tenant=tenant, cascade=cascade, version=number, problem=str(error))
    everyone = {tenant.name: tenant for tenant in tenants.everyone(connection)}
    found = keys.usable(connection, now)
    return State(revision, everyone, configs, found, unreadable, keys.ever_made(connection)), texts


_VERSION, _ROLLOUT = schema.versions.c, schema.rollouts.c
_RUNNING = select(_VERSION.tenant, _VERSION.cascade, _VERSION.number, _VERSION.text).join(
    schema.rollouts,
    (_ROLLOUT.tenant == _VERSION.tenant)
    & (_ROLLOUT.cascade == _VERSION.cascade)
    & or_(
        *(
            _VERSION.number == column
            for column in (_ROLLOUT.active, _ROLLOUT.previous, _ROLLOUT.canary, _ROLLOUT.shadow)
        )
    ),
)

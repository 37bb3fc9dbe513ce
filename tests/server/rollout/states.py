"""States of a store, without a store."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cascade.config import CascadeConfig
from cascade_server.control.state import Quota, Rollout, State, TenantState

MADE = datetime(2026, 1, 31, 12, tzinfo=UTC)


def state(
    *rollouts: Rollout,
    configs: Mapping[int, CascadeConfig],
    tenant: str = "acme",
    quota: Quota | None = None,
    **rest: Any,
) -> State:
    """What a store says that has one tenant with these rollouts, whose versions are `configs` by number."""
    served = {rollout.cascade: rollout for rollout in rollouts}
    found = {(tenant, cascade, number): config for cascade in served for number, config in configs.items()}
    return State(
        tenants={tenant: TenantState(tenant, MADE, quota or Quota(), served)}, configs=found, **{"revision": 1} | rest
    )

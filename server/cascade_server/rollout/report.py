"""Tells the metrics what is in force after every change-over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from cascade.config import CascadeConfig
from cascade_server.control.state import Rollout
from cascade_server.metrics import Metrics
from cascade_server.rollout.changeover import Place
from cascade_server.rollout.serving import Serving
from cascade_server.rollout.tenant import Tenant


class Report:
    """Says of tenants that changed what changed, so that a change costs what it changes."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._said: Mapping[str, Tenant] = {}

    def changed(self, tenants: Mapping[str, Tenant], problems: Mapping[Place, object]) -> None:
        """These are all tenants now, and what cannot be in force."""
        before, self._said = self._said, dict(tenants)
        for name in before.keys() - tenants.keys():
            self._withdraw(name, before[name], Tenant(name))
            self._metrics.configure(name, None)
        for name, tenant in tenants.items():
            said = before.get(name)
            if said is tenant:
                continue
            self._metrics.configure(name, _configs(tenant))
            self._metrics.tenants.may_use(name, tenant.quota)
            if said is not None:
                self._withdraw(name, said, tenant)
            for cascade, serving in tenant.serving.items():
                if (rollout := _rollout(cascade, serving)) is not None:
                    self._metrics.rollouts.rolled_out(name, rollout)
        self._metrics.rollouts.unusable(Counter((tenant, cascade) for tenant, cascade, _ in problems))

    def _withdraw(self, name: str, before: Tenant, now: Tenant) -> None:
        for cascade in before.serving:
            if cascade not in now.serving or _rollout(cascade, now.serving[cascade]) is None:
                self._metrics.rollouts.withdrawn(name, cascade)


def _configs(tenant: Tenant) -> Mapping[str, list[CascadeConfig]]:
    return {name: [w.cascade.config for w in serving.wired] for name, serving in tenant.serving.items()}


def _rollout(cascade: str, serving: Serving) -> Rollout | None:
    """What answers, in the words of the store; None for a cascade of the folder, and where nothing does."""
    active = serving.answering
    if active is None or not active.number:
        return None
    canary, shadow = serving.canary, serving.shadow
    return Rollout(
        cascade,
        active.number,
        canary=None if canary is None else canary.number,
        canary_percent=serving.canary_percent,
        shadow=None if shadow is None else shadow.number,
        shadow_percent=serving.shadow_percent,
    )

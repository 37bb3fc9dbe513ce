"""What tenants may use, and what they were refused."""

from __future__ import annotations

from dataclasses import fields

from cascade_server.control.state import Quota
from cascade_server.metrics.registry import Registry

_LIMITS = tuple(f.name for f in fields(Quota) if f.name not in ("priority", "weight"))


class TenantMetrics:
    """By tenant; a quota that sets no limit has no series."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._quota = registry.gauge(
            "cascade_quota", "What a tenant may use, by the quota's name.", ("tenant", "quota")
        )
        self._refused = registry.counter(
            "cascade_refused", "Requests refused before any work, by reason.", ("tenant", "reason")
        )
        self._held_back = registry.counter(
            "cascade_gate_refused", "Those of them that admission refused, by what was short.", ("tenant", "reason")
        )

    def may_use(self, tenant: str, quota: Quota) -> None:
        """The quota of a tenant as it is now."""
        for name in _LIMITS:
            limit = getattr(quota, name)
            if limit is None:
                self._quota.remove(tenant, name)
            else:
                self._quota.labels(tenant, name).set(limit)

    def refused(self, tenant: str, reason: str) -> None:
        """A request was refused; `reason` is one of few words."""
        self._refused.labels(tenant, reason).inc()

    def held_back(self, tenant: str, reason: str) -> None:
        """Admission refused a request, which is counted as refused too; `reason` is one of `overload.fit.Reason`."""
        self._held_back.labels(tenant, reason).inc()

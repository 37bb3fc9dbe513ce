"""The gate as the settings want it."""

from __future__ import annotations

from cascade.models import Models
from cascade_server.metrics import Metrics
from cascade_server.overload.counts import Counts, Local, Shared
from cascade_server.overload.gate import Gate
from cascade_server.overload.permits import Permits
from cascade_server.overload.quotas import Rates
from cascade_server.settings import Settings


def build_gate(settings: Settings, permits: Permits, models: Models, metrics: Metrics) -> Gate:
    """The gate of a server. Raises ValueError for a redis_url that is none."""
    overload = metrics.overload
    counts: Counts = Shared(settings.redis_url, overload.quotas_shared) if settings.redis_url else Local()
    return Gate(
        permits,
        Rates(counts),
        models.load,
        metrics.held_back,
        overload.limited,
        max_wait=settings.max_wait_ms / 1e3,
        adaptive=settings.overload == "adaptive",
    )

"""What the models' caches hold, and how often they had what was asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from cascade.inference.cache import CacheStats
from cascade.inference.caches import Caches

_COUNTED: tuple[tuple[str, str, Callable[[CacheStats], int]], ...] = (
    ("cascade_cache_hits", "Look-ups that found what was asked for.", lambda stats: stats.hits),
    ("cascade_cache_misses", "Look-ups that did not.", lambda stats: stats.misses),
    ("cascade_cache_evictions", "Entries forgotten for want of room.", lambda stats: stats.evictions),
)


class CacheMetrics(Collector):
    """By cache: query_vectors, scores and token_ids; read when Prometheus asks. Without caches there are no series."""

    def __init__(self) -> None:
        self._caches: Caches | None = None

    def watch(self, caches: Caches | None) -> None:
        """Tell of these from now on."""
        self._caches = caches

    def collect(self) -> Iterable[Metric]:
        """Three counters and the bytes of each cache."""
        stats = [cache.stats for cache in self._caches or ()]
        for name, text, count in _COUNTED:
            family = CounterMetricFamily(name, text, labels=("cache",))
            for one in stats:
                family.add_metric((one.name,), count(one))
            yield family
        taken = GaugeMetricFamily("cascade_cache_bytes", "Memory that a cache takes.", labels=("cache",))
        for one in stats:
            taken.add_metric((one.name,), one.bytes)
        yield taken

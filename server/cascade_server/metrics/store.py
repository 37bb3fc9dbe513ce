"""Whether this server follows the control plane's store, and the store takes what it counts."""

from __future__ import annotations

from collections.abc import Callable

from cascade_server.metrics.registry import Registry


class StoreMetrics:
    """Read when Prometheus asks; before `watch` there is nothing to say."""

    def __init__(self, registry: Registry) -> None:
        self._following = registry.gauge(
            "cascade_store_following", "1 while this server does what the store says, 0 while it cannot.", ("store",)
        )
        self._revision = registry.gauge(
            "cascade_store_revision", "The revision of the store that is known.", ("store",)
        )
        self._usage = registry.gauge(
            "cascade_store_usage_kept", "Sums of usage that the store did not take, to be tried again.", ("store",)
        )

    def watch(
        self, store: str, problem: Callable[[], str | None], revision: Callable[[], int], kept: Callable[[], int]
    ) -> None:
        """`store` is its kind, such as sqlite: an address may hold a password. The functions are called by a thread."""
        self._following.labels(store).set_function(lambda: float(problem() is None))
        self._revision.labels(store).set_function(lambda: float(revision()))
        self._usage.labels(store).set_function(lambda: float(kept()))

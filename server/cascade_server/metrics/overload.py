"""How much each model may have before it, and where quotas are counted."""

from __future__ import annotations

from cascade_server.metrics.registry import Registry


class OverloadMetrics:
    """By model; what was never measured has no series."""

    def __init__(self, registry: Registry) -> None:
        self._limit = registry.gauge(
            "cascade_limit_tokens", "Tokens ahead of a request above which it is refused.", ("model",)
        )
        self._waiting = registry.gauge("cascade_queue_tokens", "Tokens of work that wait for a model.", ("model",))
        self._dropped = registry.counter(
            "cascade_queue_dropped",
            "Work that was not run or not to its end: full, pushed_out, standing, expired or departed.",
            ("model", "reason"),
        )
        self._shared = registry.gauge(
            "cascade_quotas_shared", "1 while quotas are counted in Redis, 0 while in this process alone."
        )

    def queued(self, model: str, tokens: int, dropped: str) -> None:
        """What waits for a model now, and why an entry was dropped, or nothing; called from the models' threads."""
        self._waiting.labels(model).set(tokens)
        if dropped:
            self._dropped.labels(model, dropped).inc()

    def limited(self, model: str, tokens: float) -> None:
        """The adaptive limit of a model, as it is now."""
        self._limit.labels(model).set(tokens)

    def quotas_shared(self, shared: bool) -> None:
        """Whether servers share the counts of their quotas now."""
        self._shared.set(shared)

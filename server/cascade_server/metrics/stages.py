"""What stages did, read and cost."""

from __future__ import annotations

from collections.abc import Iterable

from cascade.config import CascadeConfig
from cascade.trace import Reason, StageTrace
from cascade_server.metrics.buckets import CANDIDATES, SECONDS
from cascade_server.metrics.registry import Registry

_STAGE = ("tenant", "cascade", "stage")
_KIND = (*_STAGE, "kind")


class StageMetrics:
    """One observation for each entry of a trace."""

    def __init__(self, registry: Registry) -> None:
        r = registry
        self._seconds = r.histogram(
            "cascade_stage_duration_seconds",
            "A stage from start to end, waiting included.",
            (*_KIND, "status"),
            SECONDS,
        )
        self._candidates = r.histogram(
            "cascade_stage_candidates", "Candidates into and out of a stage.", (*_KIND, "direction"), CANDIDATES
        )
        self._queue = r.histogram(
            "cascade_stage_queue_seconds", "Time that a stage waited for its model.", _KIND, SECONDS
        )
        self._truncated = r.counter(
            "cascade_truncated_documents", "Documents of which a stage read only the beginning.", _STAGE
        )
        self._repairs = r.counter(
            "cascade_repairs", "Documents that a listwise output had left out, doubled or invented, put right.", _STAGE
        )
        self._degraded = r.counter(
            "cascade_degraded", "Stages that did less than their cascade asks for, by reason.", (*_STAGE, "reason")
        )
        self._tokens = r.counter("cascade_tokens", "Tokens that models read for a tenant.", _STAGE)
        self._cost = r.counter("cascade_cost", "Money by the server's prices, where a model has one.", _STAGE)

    def expect(self, tenant: str, cascade: str, config: CascadeConfig) -> None:
        """Show the counters of a cascade at 0, so that a first event is seen as an increase."""
        for stage in (s.name for s in (*config.retrieve, *config.tiers)):
            for counter in (self._truncated, self._repairs, self._tokens):
                counter.labels(tenant, cascade, stage)
            for reason in Reason:
                if reason is not Reason.NONE:
                    self._degraded.labels(tenant, cascade, stage, reason.value)

    def observe(self, tenant: str, cascade: str, trace: Iterable[StageTrace]) -> None:
        """The stages of one answer."""
        for t in trace:
            labels = (tenant, cascade, t.stage, t.kind)
            self._seconds.labels(*labels, t.status.value).observe(t.run_time)
            self._queue.labels(*labels).observe(t.queue_time)
            self._candidates.labels(*labels, "in").observe(t.candidates_in)
            self._candidates.labels(*labels, "out").observe(t.candidates_out)
            self._truncated.labels(tenant, cascade, t.stage).inc(t.truncated)
            self._repairs.labels(tenant, cascade, t.stage).inc(t.repairs)
            self._tokens.labels(tenant, cascade, t.stage).inc(t.tokens)
            if t.cost is not None:
                self._cost.labels(tenant, cascade, t.stage).inc(t.cost)
            if t.reason is not Reason.NONE:
                self._degraded.labels(tenant, cascade, t.stage, t.reason.value).inc()

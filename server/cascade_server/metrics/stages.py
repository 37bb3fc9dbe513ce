"""What stages did, read and cost."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from prometheus_client import Counter, Histogram

from cascade.config import CascadeConfig
from cascade.trace import Reason, StageTrace
from cascade_server.metrics.buckets import CANDIDATES, SECONDS
from cascade_server.metrics.registry import Registry

_STAGE = ("tenant", "cascade", "stage")
_KIND = (*_STAGE, "kind")


class _Series(NamedTuple):
    """What every entry of a trace is noted in."""

    seconds: Histogram
    queue: Histogram
    candidates_in: Histogram
    candidates_out: Histogram
    truncated: Counter
    repairs: Counter
    tokens: Counter


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
        self._found: dict[tuple[str, str, str, str, str], _Series] = {}
        self._cost = r.counter("cascade_cost", "Money by the server's prices, where a model has one.", _STAGE)

    def expect(self, tenant: str, cascade: str, config: CascadeConfig) -> None:
        """Show the counters of a cascade at 0, so that a first event is seen as an increase."""
        for stage in (s.name for s in (*config.retrieve, *config.tiers)):
            for counter in (self._truncated, self._repairs, self._tokens):
                counter.labels(tenant, cascade, stage)
            for reason in Reason:
                if reason is not Reason.NONE:
                    self._degraded.labels(tenant, cascade, stage, reason.value)

    def forget(self) -> None:
        """Look up every series again: some were removed."""
        self._found.clear()

    def observe(self, tenant: str, cascade: str, trace: Iterable[StageTrace]) -> None:
        """The stages of one answer."""
        for t in trace:
            series = self._series(tenant, cascade, t)
            series.seconds.observe(t.run_time)
            series.queue.observe(t.queue_time)
            series.candidates_in.observe(t.candidates_in)
            series.candidates_out.observe(t.candidates_out)
            for counter, more in (
                (series.truncated, t.truncated),
                (series.repairs, t.repairs),
                (series.tokens, t.tokens),
            ):
                if more:
                    counter.inc(more)
            if t.cost is not None:
                self._cost.labels(tenant, cascade, t.stage).inc(t.cost)
            if t.reason is not Reason.NONE:
                self._degraded.labels(tenant, cascade, t.stage, t.reason.value).inc()

    def _series(self, tenant: str, cascade: str, t: StageTrace) -> _Series:
        # Seven look-ups by label for every stage of an answer were a tenth of what it cost beside its ranking.
        key = (tenant, cascade, t.stage, t.kind, t.status.value)
        found = self._found.get(key)
        if found is None:
            stage, kind = key[:3], key[:4]
            found = self._found[key] = _Series(
                self._seconds.labels(*key),
                self._queue.labels(*kind),
                self._candidates.labels(*kind, "in"),
                self._candidates.labels(*kind, "out"),
                self._truncated.labels(*stage),
                self._repairs.labels(*stage),
                self._tokens.labels(*stage),
            )
        return found

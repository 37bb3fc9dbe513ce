"""How versions of a cascade compare: the active with the canary, and with what a shadow made of the same requests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cascade.trace import StageTrace
from cascade_server.control.state import Rollout
from cascade_server.metrics.buckets import SECONDS, SHARES
from cascade_server.metrics.registry import Registry

_CASCADE = ("tenant", "cascade")
_VERSIONS = (*_CASCADE, "version")
_PARTS = ("active", "canary", "shadow")


class RolloutMetrics:
    """`version` is active, canary or shadow, never a number: there is a new number with every change.

    What is counted of a version begins anew when another takes its part, so that every figure is about one version, or
    one pair of them. Of cascades that are not rolled out nothing is counted.
    """

    def __init__(self, registry: Registry) -> None:
        r = registry
        self._rollouts: dict[tuple[str, str], Rollout] = {}
        self._number = r.gauge("cascade_rollout_version", "The number of a version that runs, 0 for none.", _VERSIONS)
        self._percent = r.gauge("cascade_rollout_percent", "The share of requests that a version gets.", _VERSIONS)
        self._seconds = r.histogram(
            "cascade_rollout_duration_seconds",
            "An answer of a version of a cascade, without its waits for models.",
            _VERSIONS,
            SECONDS,
        )
        self._degraded = r.counter("cascade_rollout_degraded", "Degraded answers of a version.", _VERSIONS)
        self._tokens = r.counter(
            "cascade_rollout_tokens", "Tokens that a version read; a shadow's are nobody's usage.", _VERSIONS
        )
        self._cost = r.counter("cascade_rollout_cost", "Money that a version cost.", _VERSIONS)
        self._overlap = r.histogram(
            "cascade_shadow_overlap", "Share of the first results that the shadow ranks first too.", _CASCADE, SHARES
        )
        self._rbo = r.histogram(
            "cascade_shadow_rbo", "Rank-biased overlap of the shadow's ranking with the answer's.", _CASCADE, SHARES
        )
        self._lost = r.counter(
            "cascade_shadow_lost", "Copies of requests that no shadow answered, by reason.", (*_CASCADE, "reason")
        )
        self._problems = r.gauge(
            "cascade_rollout_problems",
            "Versions that should be in force and cannot be; what was in force before goes on.",
            _CASCADE,
        )
        self._of_versions = (self._seconds, self._degraded, self._tokens, self._cost)
        self._reasons: set[str] = set()

    def rolled_out(self, tenant: str, rollout: Rollout) -> None:
        """These versions run now."""
        before = self._rollouts.get((tenant, rollout.cascade))
        if before == rollout:
            return
        self._rollouts[tenant, rollout.cascade] = rollout
        if before is not None:
            self._begin_anew(tenant, before, rollout)
        shares = {
            "active": (rollout.active, 100.0 - (rollout.canary_percent if rollout.canary else 0.0)),
            "canary": (rollout.canary, rollout.canary_percent),
            "shadow": (rollout.shadow, rollout.shadow_percent),
        }
        for version, (number, percent) in shares.items():
            self._number.labels(tenant, rollout.cascade, version).set(number or 0)
            self._percent.labels(tenant, rollout.cascade, version).set(percent if number else 0.0)

    def withdrawn(self, tenant: str, cascade: str) -> None:
        """No version of that cascade runs any more."""
        if self._rollouts.pop((tenant, cascade), None) is not None:
            for version in _PARTS:
                self._forget(tenant, cascade, version)
                self._number.remove(tenant, cascade, version)
                self._percent.remove(tenant, cascade, version)
            self._forget_pair(tenant, cascade)

    def unusable(self, versions: Mapping[tuple[str, str], int]) -> None:
        """So many versions of these cascades, by tenant and cascade, should be in force and cannot be."""
        self._problems.clear()
        for (tenant, cascade), count in versions.items():
            self._problems.labels(tenant, cascade).set(count)

    def counts(self, tenant: str, cascade: str) -> bool:
        """Whether that cascade is rolled out, so that its answers are counted."""
        return (tenant, cascade) in self._rollouts

    def answered(
        self, tenant: str, cascade: str, version: str, seconds: float, degraded: bool, trace: Iterable[StageTrace]
    ) -> None:
        """The active, canary or shadow version answered, after `seconds` of work."""
        if (tenant, cascade) not in self._rollouts:
            return
        labels = (tenant, cascade, version)
        trace = tuple(trace)
        self._seconds.labels(*labels).observe(seconds)
        self._degraded.labels(*labels).inc(degraded)
        self._tokens.labels(*labels).inc(sum(t.tokens for t in trace))
        self._cost.labels(*labels).inc(sum(t.cost or 0.0 for t in trace))

    def compared(self, tenant: str, cascade: str, overlap: float, rbo: float) -> None:
        """A shadow ranked the same request, with these likenesses from 0 to 1."""
        if (tenant, cascade) not in self._rollouts:
            return
        self._overlap.labels(tenant, cascade).observe(overlap)
        self._rbo.labels(tenant, cascade).observe(rbo)

    def lost(self, tenant: str, cascade: str, reason: str) -> None:
        """A copy was not answered; `reason` is one of few words, such as full or error."""
        if (tenant, cascade) in self._rollouts:
            self._reasons.add(reason)
            self._lost.labels(tenant, cascade, reason).inc()

    def _begin_anew(self, tenant: str, before: Rollout, now: Rollout) -> None:
        for version in _PARTS:
            if getattr(before, version) != getattr(now, version):
                self._forget(tenant, now.cascade, version)
        if (before.active, before.shadow) != (now.active, now.shadow):
            self._forget_pair(tenant, now.cascade)

    def _forget(self, tenant: str, cascade: str, version: str) -> None:
        for metric in self._of_versions:
            metric.remove(tenant, cascade, version)

    def _forget_pair(self, tenant: str, cascade: str) -> None:
        self._overlap.remove(tenant, cascade)
        self._rbo.remove(tenant, cascade)
        for reason in self._reasons:
            self._lost.remove(tenant, cascade, reason)

"""All metrics of one server, and which names they may use."""

from __future__ import annotations

import platform
from collections.abc import Collection, Iterable, Mapping
from importlib.metadata import version

from prometheus_client import Info

from cascade.config import CascadeConfig
from cascade.trace import StageTrace
from cascade_server.metrics.buckets import ITEMS, SECONDS, TOKENS
from cascade_server.metrics.caches import CacheMetrics
from cascade_server.metrics.endpoint import MetricsEndpoint
from cascade_server.metrics.indexes import IndexSizes
from cascade_server.metrics.names import Names
from cascade_server.metrics.overload import OverloadMetrics
from cascade_server.metrics.registry import Registry
from cascade_server.metrics.rollouts import RolloutMetrics
from cascade_server.metrics.stages import StageMetrics
from cascade_server.metrics.store import StoreMetrics
from cascade_server.metrics.tenants import TenantMetrics

_CASCADE = ("tenant", "cascade")


class Metrics:
    """One server's metrics, in a registry of their own.

    Requests are counted under the names of configured tenants and cascades and under `other`, whatever a caller says;
    what is no longer configured has no series.
    """

    def __init__(self) -> None:
        r = self.registry = Registry()
        self._names = Names()
        self.indexes = IndexSizes()
        r.register(self.indexes)
        self.caches = CacheMetrics()
        r.register(self.caches)
        self.tenants = TenantMetrics(r)
        self.rollouts = RolloutMetrics(r)
        self.overload = OverloadMetrics(r)
        self.store = StoreMetrics(r)
        self._stages = StageMetrics(r)
        self._requests = r.counter("cascade_requests", "Rank requests by status code.", (*_CASCADE, "code"))
        self._request_seconds = r.histogram(
            "cascade_request_duration_seconds", "From arrival to answer.", _CASCADE, SECONDS
        )
        self._batch_size = r.histogram("cascade_batch_size", "Items in a batch that a model ran.", ("model",), ITEMS)
        self._batch_tokens = r.histogram(
            "cascade_batch_tokens", "Tokens in a batch that a model ran.", ("model",), TOKENS
        )
        self._index_requests = r.counter(
            "cascade_index_requests", "Requests about indexes by status code.", ("tenant", "method", "code")
        )
        self._index_request_seconds = r.histogram(
            "cascade_index_request_duration_seconds", "From arrival to answer.", ("tenant", "method"), SECONDS
        )
        self._in_progress = r.gauge("cascade_requests_in_progress", "Requests that are being answered.")
        self._reloads = r.counter("cascade_reloads", "Reloads of the cascade files.", ("outcome",))
        for outcome in ("done", "refused"):
            self._reloads.labels(outcome)
        Info("cascade_build", "What is running.", registry=r).info(
            {"version": version("cascade-ranking"), "python": platform.python_version()}
        )

    def serve(self, host: str, port: int) -> MetricsEndpoint:
        """Answer `GET /metrics` on `port`, or on a free one for 0. Raises ConfigError when it is taken."""
        return MetricsEndpoint(self.registry, host, port)

    def configured(self, cascades: Mapping[str, Mapping[str, Collection[CascadeConfig]]]) -> None:
        """These are all tenants, and all versions of their cascades that run, from now on.

        The series of all others go, and the counters of these begin at 0.
        """
        for tenant in self._names.tenants - cascades.keys():
            self.configure(tenant, None)
        for tenant, found in cascades.items():
            self.configure(tenant, found)

    def configure(self, tenant: str, cascades: Mapping[str, Collection[CascadeConfig]] | None) -> None:
        """These are all versions of a tenant's cascades that run, from now on; None for a tenant that is gone."""
        found = cascades or {}
        stages = {name: frozenset(s for c in versions for s in c.stage_names) for name, versions in found.items()}
        for labels in self._names.replace(tenant, None if cascades is None else stages):
            self.registry.forget(**labels)
        self._stages.forget()
        if cascades is None:
            self.indexes.forget(tenant)
        for cascade, versions in found.items():
            for config in versions:
                self._stages.expect(tenant, cascade, config)

    def started(self) -> None:
        """A request arrived."""
        self._in_progress.inc()

    def ended(self) -> None:
        """A request is over."""
        self._in_progress.dec()

    def ranked(self, tenant: str, cascade: str, code: str, seconds: float) -> None:
        """A rank request was answered with `code`."""
        tenant, cascade = self._names.tenant(tenant), self._names.cascade(tenant, cascade)
        self._requests.labels(tenant, cascade, code).inc()
        self._request_seconds.labels(tenant, cascade).observe(seconds)

    def index_request(self, tenant: str, method: str, code: str, seconds: float) -> None:
        """A request about an index was answered with `code`."""
        tenant = self._names.tenant(tenant)
        self._index_requests.labels(tenant, method, code).inc()
        self._index_request_seconds.labels(tenant, method).observe(seconds)

    def refused(self, tenant: str, reason: str) -> None:
        """A request was refused before any work; `reason` is one of few words, such as the name of a quota."""
        self.tenants.refused(self._names.tenant(tenant), reason)

    def held_back(self, tenant: str, reason: str) -> None:
        """Admission refused a request for what was short; it is counted as refused as well, once it is answered."""
        self.tenants.held_back(self._names.tenant(tenant), reason)

    def stages(self, tenant: str, cascade: str, trace: Iterable[StageTrace]) -> None:
        """The stages of one answer."""
        # What was changed or removed while it answered has stages that no series should have any more.
        known = self._names.stages(tenant, cascade)
        self._stages.observe(tenant, cascade, (t for t in trace if t.stage in known))

    def batch(self, model: str, items: int, tokens: int) -> None:
        """A model ran a batch; called from the models' threads."""
        self._batch_size.labels(model).observe(items)
        self._batch_tokens.labels(model).observe(tokens)

    def reloaded(self, outcome: str) -> None:
        """The cascade files were read again: `done`, or `refused`."""
        self._reloads.labels(outcome).inc()

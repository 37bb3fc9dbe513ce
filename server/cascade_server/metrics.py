"""What Prometheus may know: requests, stages, batches and indexes, by names that only the operator chooses."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    disable_created_metrics,
    start_http_server,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from cascade.config import CascadeConfig
from cascade.errors import ConfigError
from cascade.trace import Reason, StageTrace
from cascade_server.interceptors.record import OTHER

# A lexical stage takes less than a millisecond and an LLM tier on a CPU many seconds.
SECONDS = (
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
)
CANDIDATES = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 100_000, 1_000_000)
ITEMS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
TOKENS = (16, 64, 256, 512, 1024, 2048, 4096, 8192, 16_384, 65_536)
INDEXES_PER_TENANT = 100

_CASCADE = ("tenant", "cascade")
_STAGE = (*_CASCADE, "stage", "kind")


class IndexSizes(Collector):
    """Documents by tenant and index; indexes beyond the largest of a tenant are summed up as `other`."""

    def __init__(self) -> None:
        self._sizes: dict[str, dict[str, int]] = {}

    def set(self, tenant: str, index: str, documents: int) -> None:
        """`index` has `documents` documents now."""
        self._sizes.setdefault(tenant, {})[index] = documents

    def remove(self, tenant: str, index: str) -> None:
        """`index` is gone."""
        self._sizes.get(tenant, {}).pop(index, None)

    def collect(self) -> Iterable[Metric]:
        """One sample for each of the largest indexes, and one for the rest."""
        family = GaugeMetricFamily("cascade_index_documents", "Documents in an index.", labels=("tenant", "index"))
        for tenant, sizes in sorted(self._sizes.copy().items()):
            largest = sorted(sizes.copy().items(), key=lambda item: (-item[1], item[0]))
            for index, documents in largest[:INDEXES_PER_TENANT]:
                family.add_metric((tenant, index), documents)
            if rest := largest[INDEXES_PER_TENANT:]:
                family.add_metric((tenant, OTHER), sum(documents for _, documents in rest))
        yield family


class Metrics:
    """One server's metrics, in a registry of their own."""

    def __init__(self) -> None:
        # One more series for each, with the time of its birth, which nobody asks for.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library types only the rest
        self.registry = CollectorRegistry()
        self.indexes = IndexSizes()
        self.registry.register(self.indexes)
        r = self.registry
        self._requests = Counter("cascade_requests", "Rank requests by status code.", (*_CASCADE, "code"), registry=r)
        self._request_seconds = Histogram(
            "cascade_request_duration_seconds", "From arrival to answer.", _CASCADE, buckets=SECONDS, registry=r
        )
        self._stage_seconds = Histogram(
            "cascade_stage_duration_seconds",
            "A stage from start to end, waiting included.",
            (*_STAGE, "status"),
            buckets=SECONDS,
            registry=r,
        )
        self._stage_candidates = Histogram(
            "cascade_stage_candidates",
            "Candidates into and out of a stage.",
            (*_STAGE, "direction"),
            buckets=CANDIDATES,
            registry=r,
        )
        self._stage_queue = Histogram(
            "cascade_stage_queue_seconds",
            "Time that a stage waited for its model.",
            _STAGE,
            buckets=SECONDS,
            registry=r,
        )
        self._truncated = Counter(
            "cascade_truncated_documents",
            "Documents of which a stage read only the beginning.",
            (*_CASCADE, "stage"),
            registry=r,
        )
        self._repairs = Counter(
            "cascade_repairs",
            "Documents that a listwise output had left out, doubled or invented, put right.",
            (*_CASCADE, "stage"),
            registry=r,
        )
        self._degraded = Counter(
            "cascade_degraded",
            "Stages that did less than their cascade asks for, by reason.",
            (*_CASCADE, "stage", "reason"),
            registry=r,
        )
        self._batch_size = Histogram(
            "cascade_batch_size", "Items in a batch that a model ran.", ("model",), buckets=ITEMS, registry=r
        )
        self._batch_tokens = Histogram(
            "cascade_batch_tokens", "Tokens in a batch that a model ran.", ("model",), buckets=TOKENS, registry=r
        )
        self._index_requests = Counter(
            "cascade_index_requests", "Requests about indexes by status code.", ("tenant", "method", "code"), registry=r
        )
        self._index_request_seconds = Histogram(
            "cascade_index_request_duration_seconds",
            "From arrival to answer.",
            ("tenant", "method"),
            buckets=SECONDS,
            registry=r,
        )
        self._in_progress = Gauge("cascade_requests_in_progress", "Requests that are being answered.", registry=r)
        self._reloads = Counter("cascade_reloads", "Reloads of the cascade files.", ("outcome",), registry=r)
        for outcome in ("done", "refused"):
            self._reloads.labels(outcome)
        Info("cascade_build", "What is running.", registry=r).info(
            {"version": version("cascade-ranking"), "python": platform.python_version()}
        )

    def serve(self, host: str, port: int) -> MetricsEndpoint:
        """Answer `GET /metrics` on `port`, or on a free one for 0. Raises ConfigError when it is taken."""
        return MetricsEndpoint(self.registry, host, port)

    def expect(self, tenant: str, cascade: str, config: CascadeConfig) -> None:
        """Show the counters of a cascade at 0, so that a first event is seen as an increase."""
        for stage in (s.name for s in (*config.retrieve, *config.tiers)):
            self._truncated.labels(tenant, cascade, stage)
            self._repairs.labels(tenant, cascade, stage)
            for reason in Reason:
                if reason is not Reason.NONE:
                    self._degraded.labels(tenant, cascade, stage, reason.value)

    def started(self) -> None:
        """A request arrived."""
        self._in_progress.inc()

    def ended(self) -> None:
        """A request is over."""
        self._in_progress.dec()

    def ranked(self, tenant: str, cascade: str, code: str, seconds: float) -> None:
        """A rank request was answered with `code`."""
        self._requests.labels(tenant, cascade, code).inc()
        self._request_seconds.labels(tenant, cascade).observe(seconds)

    def index_request(self, tenant: str, method: str, code: str, seconds: float) -> None:
        """A request about an index was answered with `code`."""
        self._index_requests.labels(tenant, method, code).inc()
        self._index_request_seconds.labels(tenant, method).observe(seconds)

    def stages(self, tenant: str, cascade: str, trace: Iterable[StageTrace]) -> None:
        """The stages of one answer."""
        for t in trace:
            labels = (tenant, cascade, t.stage, t.kind)
            self._stage_seconds.labels(*labels, t.status.value).observe(t.run_time)
            self._stage_queue.labels(*labels).observe(t.queue_time)
            self._stage_candidates.labels(*labels, "in").observe(t.candidates_in)
            self._stage_candidates.labels(*labels, "out").observe(t.candidates_out)
            self._truncated.labels(tenant, cascade, t.stage).inc(t.truncated)
            self._repairs.labels(tenant, cascade, t.stage).inc(t.repairs)
            if t.reason is not Reason.NONE:
                self._degraded.labels(tenant, cascade, t.stage, t.reason.value).inc()

    def batch(self, model: str, items: int, tokens: int) -> None:
        """A model ran a batch; called from the models' threads."""
        self._batch_size.labels(model).observe(items)
        self._batch_tokens.labels(model).observe(tokens)

    def reloaded(self, outcome: str) -> None:
        """The cascade files were read again: `done`, or `refused`."""
        self._reloads.labels(outcome).inc()


class MetricsEndpoint:
    """The HTTP server of /metrics, in a thread of its own."""

    def __init__(self, registry: CollectorRegistry, host: str, port: int) -> None:
        try:
            self._server, self._thread = start_http_server(port, host, registry)
        except OSError as error:
            raise ConfigError("metrics_port", [f"{host}:{port} cannot be listened on: {error}"]) from error
        self.port: int = self._server.server_port

    def close(self) -> None:
        """Stop answering and end the thread."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

"""What Prometheus may know of a server, by names that only its operator chooses."""

from cascade_server.metrics.buckets import SECONDS
from cascade_server.metrics.endpoint import MetricsEndpoint
from cascade_server.metrics.indexes import INDEXES_PER_TENANT, IndexSizes
from cascade_server.metrics.metrics import Metrics

__all__ = ["INDEXES_PER_TENANT", "SECONDS", "IndexSizes", "Metrics", "MetricsEndpoint"]

"""How many documents each tenant's indexes hold, in a bounded number of series."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from cascade_server.interceptors.record import OTHER

INDEXES_PER_TENANT = 100


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

    def forget(self, tenant: str) -> None:
        """A tenant is gone, and its indexes are shown no more."""
        self._sizes.pop(tenant, None)

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

"""The metrics of one server, and the removal of what they say of a name that is gone."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics


class Registry(CollectorRegistry):
    """A registry that makes its counters, gauges and histograms itself, so that it can forget any of their series."""

    def __init__(self) -> None:
        # One more series for each, with the time of its birth, which nobody asks for.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library types only the rest
        super().__init__()
        self._made: list[tuple[frozenset[str], Counter | Gauge | Histogram]] = []

    def counter(self, name: str, text: str, labels: Sequence[str] = ()) -> Counter:
        """A counter; `name` is without `_total`."""
        made = Counter(name, text, labels, registry=self)
        self._made.append((frozenset(labels), made))
        return made

    def gauge(self, name: str, text: str, labels: Sequence[str] = ()) -> Gauge:
        """A gauge."""
        made = Gauge(name, text, labels, registry=self)
        self._made.append((frozenset(labels), made))
        return made

    def histogram(self, name: str, text: str, labels: Sequence[str], buckets: Sequence[float]) -> Histogram:
        """A histogram."""
        made = Histogram(name, text, labels, buckets=buckets, registry=self)
        self._made.append((frozenset(labels), made))
        return made

    def forget(self, **labels: str) -> None:
        """Remove every series that has all of `labels` with these values."""
        for names, made in self._made:
            if labels.keys() <= names:
                made.remove_by_labels(labels)

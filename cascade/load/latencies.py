"""Latencies in a histogram of high dynamic range, which keeps its precision in the tail."""

from __future__ import annotations

import math
from collections.abc import Iterable

from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]  # it ships no types

_MICROSECONDS = 1e6
_LONGEST = 600 * 1_000_000
_DIGITS = 3


class Latencies:
    """From 1 µs to 10 minutes with three significant digits; what lies outside counts as the nearer end."""

    def __init__(self, seconds: Iterable[float] = ()) -> None:
        self._histogram = HdrHistogram(1, _LONGEST, _DIGITS)
        for value in seconds:
            self._histogram.record_value(min(max(1, round(value * _MICROSECONDS)), _LONGEST))

    def __len__(self) -> int:
        return int(self._histogram.total_count)

    def percentile(self, percent: float) -> float | None:
        """Seconds that at least `percent` of them do not exceed; None of none."""
        count = len(self)
        if not count:
            return None
        # The library rounds the rank, to the nearest one: down, half of the time.
        rank = math.ceil(percent / 100 * count - 1e-9)
        return float(self._histogram.get_value_at_percentile(100 * rank / count)) / _MICROSECONDS

    def encoded(self) -> str:
        """The histogram in the format of HdrHistogram (V2, deflated, base64), in microseconds."""
        return str(self._histogram.encode().decode("ascii"))

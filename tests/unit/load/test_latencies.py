"""The histogram agrees with the values that it was given."""

import math

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from cascade.load.latencies import Latencies


@given(st.lists(st.floats(1e-5, 100.0), min_size=1, max_size=200), st.sampled_from([50.0, 90.0, 95.0, 99.0]))
def test_a_percentile_is_a_value_that_so_many_do_not_exceed(seconds: list[float], percent: float) -> None:
    found = Latencies(seconds).percentile(percent)
    exact = sorted(seconds)[math.ceil(percent / 100 * len(seconds) - 1e-9) - 1]
    assert found == pytest.approx(exact, rel=2e-3, abs=2e-6)


def test_values_beyond_both_ends_count_as_the_ends() -> None:
    found = Latencies([0.0, 10_000.0])
    assert len(found) == 2
    assert found.percentile(100) == pytest.approx(600.0, rel=1e-3)


def test_the_encoded_histogram_can_be_read_by_others() -> None:
    decoded = HdrHistogram.decode(Latencies([0.010] * 99 + [0.5]).encoded())
    assert decoded.total_count == 100
    assert decoded.get_value_at_percentile(50) == pytest.approx(10_000, rel=1e-3)
    assert decoded.get_value_at_percentile(100) == pytest.approx(500_000, rel=1e-3)

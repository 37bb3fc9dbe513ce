"""Costs are learnt, and forgotten."""

import pytest

from cascade.inference.cost import CostEstimate, approximate_tokens
from cascade.testing import FakeClock


def test_nothing_is_expected_before_anything_was_seen() -> None:
    assert CostEstimate().seconds(1000) == 0.0


def test_the_median_rate_is_expected_so_that_one_slow_batch_does_not_count() -> None:
    cost = CostEstimate(clock=FakeClock())
    for seconds in (1.0, 1.0, 60.0):
        cost.observe(100, seconds)
    assert cost.seconds(50) == pytest.approx(0.5)


def test_a_slow_spell_is_forgotten_after_a_minute() -> None:
    clock = FakeClock()
    cost = CostEstimate(clock=clock)
    cost.observe(1, 100.0)
    clock.advance(61)
    assert cost.seconds(1) == 0.0


def test_long_texts_count_no_more_than_a_model_reads() -> None:
    assert approximate_tokens(["x" * 100_000, None], most=256) == pytest.approx(257)

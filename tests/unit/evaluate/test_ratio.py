"""Rounds are compared each with its own neighbour."""

import pytest

from cascade.evaluate.ratio import ratio


def test_the_ratio_is_the_median_of_the_rounds() -> None:
    found = ratio([(1.1, 1.0), (2.4, 2.0), (9.0, 3.0)])
    assert found is not None
    assert found.value == pytest.approx(1.2)
    assert found.rounds == pytest.approx((1.1, 1.2, 3.0))
    assert found.low <= found.value <= found.high


def test_a_machine_that_changes_between_rounds_changes_no_ratio() -> None:
    found = ratio([(1.2 * speed, speed) for speed in (1.0, 5.0, 0.3, 2.0)])
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((1.2, 1.2, 1.2))


def test_rounds_without_a_figure_do_not_count() -> None:
    found = ratio([(None, 1.0), (2.0, 1.0), (2.0, None), (1.0, 0.0)])
    assert found is not None
    assert found.rounds == (2.0,)


def test_without_rounds_there_is_no_ratio() -> None:
    assert ratio([(None, None)]) is None


def test_rounds_that_differ_make_the_interval_wider() -> None:
    even, uneven = ratio([(1.2, 1.0)] * 6), ratio([(n, 1.0) for n in (0.6, 0.9, 1.2, 1.2, 1.5, 1.8)])
    assert even is not None
    assert uneven is not None
    assert uneven.high - uneven.low > even.high - even.low

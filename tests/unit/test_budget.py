"""Time can only shrink."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.budget import Budget
from cascade.testing import FakeClock


@given(st.floats(0, 1e6), st.floats(0, 1), st.floats(0, 1e6))
def test_no_share_outlives_its_parent(seconds: float, fraction: float, passed: float) -> None:
    clock = FakeClock()
    parent = Budget.of(seconds, clock)
    share = parent.share(fraction)
    clock.advance(passed)
    assert share.remaining <= parent.remaining


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_a_limit_never_lengthens_a_budget(seconds: float, limit: float) -> None:
    clock = FakeClock()
    assert Budget.of(seconds, clock).at_most(limit).remaining == pytest.approx(min(seconds, limit))


def test_a_budget_without_a_limit_never_expires() -> None:
    clock = FakeClock()
    budget = Budget.of(None, clock)
    clock.advance(1e12)
    assert not budget.expired
    assert budget.timeout is None
    assert math.isinf(budget.remaining)


def test_a_budget_expires_at_its_deadline_and_stays_at_zero() -> None:
    clock = FakeClock()
    budget = Budget.of(2.0, clock)
    clock.advance(2.0)
    assert budget.expired
    clock.advance(5.0)
    assert budget.remaining == 0.0
    assert budget.timeout == 0.0


def test_a_share_outside_zero_to_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"found 1\.5"):
        Budget.of(1.0).share(1.5)

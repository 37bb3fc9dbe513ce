"""A client's retries in all are bounded, whatever each call is allowed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade_client import RetryBudget


class Clock:
    """Time that moves only when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@given(
    st.floats(0, 1),
    st.floats(0, 5),
    st.floats(0, 2),
    st.lists(st.sampled_from(["call", "retry", "wait"]), max_size=200),
)
def test_retries_never_exceed_a_share_of_the_calls_and_a_floor(
    share: float, most: float, per_second: float, happened: list[str]
) -> None:
    clock = Clock()
    budget = RetryBudget(share, most=most, per_second=per_second, clock=clock)
    taken = 0
    for event in happened:
        if event == "call":
            budget.called()
        elif event == "wait":
            clock.now += 0.5
        else:
            taken += budget.take()
        calls, seconds = happened.count("call"), clock.now - 1000.0
        assert taken <= most + share * calls + per_second * seconds + 1e-6


def test_a_server_that_fails_everything_gets_a_tenth_more_calls_and_not_four_times_as_many() -> None:
    budget = RetryBudget(clock=Clock())
    tries = 0
    for _ in range(1000):
        budget.called()
        tries += 1
        for _ in range(3):
            if not budget.take():
                break
            tries += 1
    assert tries == pytest.approx(1000 + 10 + 100, abs=1)


def test_a_client_that_seldom_calls_may_retry_again_after_a_while() -> None:
    clock = Clock()
    budget = RetryBudget(0.0, most=1.0, per_second=0.5, clock=clock)
    assert budget.take()
    assert not budget.take()
    clock.now += 2.0
    assert budget.take()


def test_what_is_saved_up_has_a_bound() -> None:
    budget = RetryBudget(1.0, most=2.0, clock=Clock())
    for _ in range(100):
        budget.called()
    assert [budget.take() for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize("wrong", [{"share": -0.1}, {"share": 1.1}, {"most": -1.0}, {"per_second": -1.0}])
def test_a_budget_out_of_bounds_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected a share from 0 to 1"):
        RetryBudget(**wrong)  # type: ignore[arg-type]  # one of them is positional too

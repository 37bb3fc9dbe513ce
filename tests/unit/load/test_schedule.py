"""Arrivals are decided beforehand, by a seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.load.schedule import Flow, schedule, times

rates = st.floats(0.1, 200.0)
lengths = st.floats(0.1, 10.0)


def flow(name: str = "a", rate: float = 20.0, **more: object) -> Flow:
    return Flow(name, "localhost:1", "pool", rate, **more)  # type: ignore[arg-type]  # whatever a test wants to set


@given(rates, lengths, st.sampled_from(["poisson", "uniform"]), st.integers(0, 1000))
def test_arrivals_are_in_order_and_within_the_time(rate: float, seconds: float, arrivals: str, seed: int) -> None:
    at = times(rate, seconds, arrivals, np.random.default_rng(seed))  # type: ignore[arg-type]  # one of the two
    assert (np.diff(at) >= 0).all()
    assert ((at >= 0) & (at < seconds)).all()


def test_uniform_arrivals_are_equally_far_apart() -> None:
    at = times(50.0, 10.0, "uniform", np.random.default_rng(1))
    assert len(at) in (499, 500)
    assert np.diff(at) == pytest.approx(0.02)


def test_poisson_gaps_are_exponential() -> None:
    gaps = np.diff(times(100.0, 200.0, "poisson", np.random.default_rng(1)))
    assert gaps.mean() == pytest.approx(0.01, rel=0.05)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)


@pytest.mark.parametrize(("rate", "seconds"), [(0.0, 5.0), (5.0, 0.0), (5.0, -1.0)])
def test_without_rate_or_time_nothing_arrives(rate: float, seconds: float) -> None:
    assert len(times(rate, seconds, "poisson", np.random.default_rng(0))) == 0


def test_the_same_seed_gives_the_same_arrivals() -> None:
    one, other, third = (schedule([flow()], 5.0, seed) for seed in (7, 7, 8))
    assert np.array_equal(one.at, other.at)
    assert np.array_equal(one.draw, other.draw)
    assert not np.array_equal(one.at[:5], third.at[:5])


def test_a_flow_arrives_at_the_same_times_beside_another() -> None:
    alone = schedule([flow("victim")], 10.0, 3)
    beside = schedule([flow("victim"), flow("aggressor", 90.0)], 10.0, 3)
    assert np.array_equal(beside.at[beside.flow == 0], alone.at)
    assert (beside.flow == 1).sum() > 3 * len(alone)
    assert (np.diff(beside.at) >= 0).all()


def test_a_flow_keeps_between_its_beginning_and_its_end() -> None:
    made = schedule([flow("burst", 50.0, end=2.0), flow("after", 50.0, begin=2.0)], 5.0, 1)
    burst, after = made.at[made.flow == 0], made.at[made.flow == 1]
    assert burst.max() < 2.0 <= after.min()
    assert after.max() < 5.0


def test_no_flows_are_no_arrivals() -> None:
    assert len(schedule([], 5.0, 1)) == 0

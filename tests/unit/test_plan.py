"""A tier runs while there is time and its estimate fits."""

from cascade.budget import Budget
from cascade.plan import Run, Skip, decide
from cascade.testing import FakeClock
from cascade.trace import Reason


def test_a_tier_without_an_estimate_runs_while_there_is_time() -> None:
    budget = Budget.of(0.1, FakeClock())
    assert decide(budget, max_seconds=None, estimate=0.0) == Run(budget)


def test_a_tier_without_time_is_skipped() -> None:
    decision = decide(Budget.of(0.0, FakeClock()), max_seconds=None, estimate=0.0)
    assert isinstance(decision, Skip)
    assert decision.reason is Reason.NO_TIME


def test_a_tier_that_is_expected_to_overrun_is_skipped_and_the_figures_are_given() -> None:
    decision = decide(Budget.of(0.1, FakeClock()), max_seconds=None, estimate=0.25)
    assert decision == Skip(Reason.TOO_COSTLY, "expected to take 250.0 ms with 100.0 ms left")


def test_the_tiers_own_limit_counts_when_it_is_tighter() -> None:
    decision = decide(Budget.of(10.0, FakeClock()), max_seconds=0.1, estimate=0.25)
    assert isinstance(decision, Skip)

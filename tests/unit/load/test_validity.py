"""A measurement says what speaks against it."""

import pytest

from cascade.load import validity
from cascade.load.reply import Outcome
from tests.unit.load.conftest import MakePhase, MakeReply


def test_a_generator_that_keeps_up_is_no_problem(phase: MakePhase, reply: MakeReply) -> None:
    assert validity.lag([phase([reply(n, delay=0.001) for n in range(100)])], 0.1) == []


def test_a_late_generator_is_a_problem(phase: MakePhase, reply: MakeReply) -> None:
    replies = [reply(n, 0.2, delay=0.05 if n % 10 == 0 else 0.0) for n in range(100)]
    (problem,) = validity.lag([phase(replies)], 0.1)
    assert "lagged" in problem
    assert "50.0 ms" in problem
    assert "at most 10.0" in problem


def test_what_is_late_depends_on_the_latency_that_is_reported(phase: MakePhase, reply: MakeReply) -> None:
    replies = [reply(n, 2.0, delay=0.05) for n in range(100)]
    assert validity.lag([phase(replies)], 1.0) == []
    assert validity.lag([phase(replies)], None) != []


def test_requests_that_were_not_sent_are_a_problem(phase: MakePhase, reply: MakeReply) -> None:
    (problem,) = validity.lag([phase([reply(0), reply(1, 1.0, Outcome.UNSENT, delay=1.0)])], 1.0)
    assert "could not send 1 of 2" in problem


@pytest.mark.parametrize(("percent", "needed"), [(95, 100), (99, 500), (99.9, 5000)])
def test_a_percentile_needs_requests_beyond_it(percent: float, needed: int) -> None:
    assert validity.sample("answers", needed, percent) == []
    (problem,) = validity.sample("answers", needed - 1, percent)
    assert str(needed) in problem


@pytest.mark.parametrize(
    ("capacities", "valid"), [([20, 21, 19], True), ([20, 12], False), ([20], False), ([0, 20], False)]
)
def test_a_machine_that_changes_is_a_problem(capacities: list[float], valid: bool) -> None:
    assert (validity.drift(capacities) == []) is valid


@pytest.mark.parametrize(("share", "valid"), [(None, True), (0.05, True), (0.5, False)])
def test_other_programs_are_a_problem(share: float | None, valid: bool) -> None:
    assert (validity.foreign(share) == []) is valid


def test_failures_are_named_and_counted(phase: MakePhase, reply: MakeReply) -> None:
    failed = [reply(n, 0.01, Outcome.FAILED, reason="UNAVAILABLE: gone") for n in range(2)]
    assert validity.failures([phase([reply(0)])]) == []
    assert validity.failures([phase(failed), phase(failed)]) == ["requests failed: UNAVAILABLE: gone 4 times"]

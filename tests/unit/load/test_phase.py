"""What counts as good, and whose latency counts how."""

import pytest

from cascade.load.phase import percentile, throughput
from cascade.load.reply import Outcome
from tests.unit.load.conftest import MakePhase, MakeReply


def test_goodput_counts_good_answers_within_the_deadline(phase: MakePhase, reply: MakeReply) -> None:
    found = phase(
        [
            reply(0, 0.5),
            reply(1, 0.5, Outcome.CHEAPER),
            reply(2, 0.5, Outcome.DEGRADED),
            reply(3, 1.5),
            reply(4, 0.001, Outcome.REFUSED),
            reply(5, 1.0, Outcome.EXPIRED),
        ]
    )
    assert found.goodput() == pytest.approx(2 / 10)


def test_latency_counts_from_when_a_request_should_have_been_sent(reply: MakeReply) -> None:
    late = reply(5.0, 0.3, delay=0.25)
    assert late.latency == pytest.approx(0.3)
    assert late.delay == pytest.approx(0.25)


def test_what_was_cut_by_its_deadline_waited_that_long(phase: MakePhase, reply: MakeReply) -> None:
    found = phase([reply(0, 0.1), reply(1, 0.98, Outcome.EXPIRED), reply(2, 0.001, Outcome.REFUSED)])
    assert sorted(found.waited()) == pytest.approx([0.1, 1.0])


def test_whoever_gets_no_good_answer_is_as_badly_off_as_at_the_deadline(phase: MakePhase, reply: MakeReply) -> None:
    found = phase([reply(0, 0.1), reply(1, 0.001, Outcome.REFUSED), reply(2, 0.2, Outcome.DEGRADED)])
    assert sorted(found.felt()) == pytest.approx([0.1, 1.0, 1.0])


def test_each_flow_has_counts_and_reasons_of_its_own(phase: MakePhase, reply: MakeReply) -> None:
    found = phase(
        [
            reply(0, flow="a"),
            reply(1, 0.001, Outcome.REFUSED, flow="b", reason="QUOTA_EXCEEDED tokens_per_second"),
            reply(2, 0.001, Outcome.REFUSED, flow="b", reason="QUOTA_EXCEEDED tokens_per_second"),
            reply(3, 0.001, Outcome.REFUSED, flow="b", reason="OVERLOADED"),
        ]
    )
    assert found.counts("a")["answered"] == 1
    assert found.counts("a")["refused"] == 0
    assert found.reasons(Outcome.REFUSED, "b") == {"QUOTA_EXCEEDED tokens_per_second": 2, "OVERLOADED": 1}


def test_throughput_is_by_the_ends_of_answers_inside(reply: MakeReply) -> None:
    replies = [reply(n * 0.1, 0.05) for n in range(100)] + [reply(n * 0.1, 0.0, Outcome.REFUSED) for n in range(100)]
    assert throughput(replies, 2.0, 8.0) == pytest.approx(10.0)


def test_throughput_of_too_few_answers_is_none(reply: MakeReply) -> None:
    assert throughput([reply(1.0)], 0.0, 10.0) == 0.0


def test_a_percentile_of_nothing_is_none() -> None:
    assert percentile([], 99) is None


def test_percentiles_keep_three_digits_from_microseconds_to_minutes() -> None:
    for seconds in (0.000_123, 0.0123, 1.23, 123.0):
        assert percentile([seconds] * 10, 99) == pytest.approx(seconds, rel=1e-3)

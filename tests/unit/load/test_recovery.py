"""A server has recovered when the next second of requests is as usual."""

import pytest

from cascade.load.recovery import recovery_seconds
from cascade.load.reply import Outcome, Reply
from tests.unit.load.conftest import MakeReply


def paced(reply: MakeReply, slow_until: float, *, slow: Outcome = Outcome.ANSWERED) -> list[Reply]:
    """Twenty requests a second for five seconds after second 10, slow or worse until `slow_until`."""
    return [
        reply(
            10 + n / 20,
            0.5 if 10 + n / 20 < slow_until else 0.05,
            slow if 10 + n / 20 < slow_until else Outcome.ANSWERED,
        )
        for n in range(100)
    ]


def test_a_server_that_was_never_slow_has_recovered_at_once(reply: MakeReply) -> None:
    assert recovery_seconds(paced(reply, 0.0), 10.0, 0.1) == 0.0


def test_recovery_lasts_until_the_last_slow_answer(reply: MakeReply) -> None:
    assert recovery_seconds(paced(reply, 11.5), 10.0, 0.1) == pytest.approx(1.5)


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.DEGRADED, Outcome.EXPIRED, Outcome.FAILED])
def test_refusals_and_the_like_are_no_recovery(reply: MakeReply, outcome: Outcome) -> None:
    quick = [r._replace(done=r.intended + 0.001) for r in paced(reply, 12.0, slow=outcome)]
    assert recovery_seconds(quick, 10.0, 0.1) == pytest.approx(2.0)


def test_without_a_whole_normal_window_nothing_has_recovered(reply: MakeReply) -> None:
    assert recovery_seconds(paced(reply, 14.5), 10.0, 0.1) is None
    assert recovery_seconds([], 10.0, 0.1) is None


def test_one_slow_answer_in_a_hundred_is_normal(reply: MakeReply) -> None:
    replies = [reply(10 + n / 100, 0.5 if n % 100 == 50 else 0.05) for n in range(300)]
    assert recovery_seconds(replies, 10.0, 0.1) == 0.0


def test_requests_before_the_end_of_the_load_do_not_count(reply: MakeReply) -> None:
    before = [reply(9 + n / 20, 3.0) for n in range(20)]
    assert recovery_seconds(before + paced(reply, 0.0), 10.0, 0.1) == 0.0

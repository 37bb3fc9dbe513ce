"""What is ahead of a newcomer follows from priorities and weights."""

import pytest

from cascade.budget import Account, Priority
from cascade.inference.load import Backlog, QueueLoad

A, B, C = (Account(name) for name in "abc")


def load(*backlogs: Backlog, fair: bool = True) -> QueueLoad:
    return QueueLoad(sum(b.tokens for b in backlogs), 0.001, 0.0, backlogs, fair)


def test_nothing_is_ahead_in_an_empty_queue() -> None:
    assert load().ahead(A, 100) == 0
    assert load().seconds(A, 100) == pytest.approx(0.1)


def test_a_long_backlog_of_another_account_is_ahead_only_for_as_long_as_the_own_work_takes() -> None:
    assert load(Backlog(A, 10_000)).ahead(B, 100) == 100
    assert load(Backlog(A, 40)).ahead(B, 100) == 40


def test_the_own_backlog_is_ahead_and_others_are_served_beside_it() -> None:
    assert load(Backlog(A, 10_000), Backlog(B, 300)).ahead(B, 100) == 300 + 400


def test_a_heavier_account_is_served_more_in_the_meantime() -> None:
    heavy = Account("heavy", weight=3.0)
    assert load(Backlog(heavy, 10_000)).ahead(B, 100) == 300
    assert load(Backlog(B, 10_000)).ahead(heavy, 300) == 100


def test_higher_priorities_are_ahead_in_whole_and_lower_ones_not_at_all() -> None:
    high, shadow = Account("high", priority=Priority.HIGH), Account("a", priority=Priority.SHADOW)
    queue = load(Backlog(high, 500), Backlog(shadow, 9_000))
    assert queue.ahead(A, 100) == 500
    assert queue.ahead(high, 100) == 500
    assert queue.ahead(shadow, 0) == 9_500


def test_an_account_that_was_served_more_than_its_share_lets_the_others_catch_up() -> None:
    queue = load(Backlog(A, 10_000), Backlog(B, 0, lead=700.0))
    assert queue.ahead(B, 100) == 800
    assert queue.ahead(C, 100) == 100


def test_in_order_of_arrival_everything_is_ahead() -> None:
    high = Account("high", priority=Priority.HIGH)
    assert load(Backlog(A, 10_000), Backlog(B, 300), fair=False).ahead(high, 100) == 10_300

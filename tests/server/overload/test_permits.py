"""A permit is given at once or refused at once, and no tenant keeps the others from theirs."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.budget import Account
from cascade.errors import OverloadedError
from cascade.testing import FakeClock
from cascade_server.errors import QuotaExceededError, UnavailableError
from cascade_server.overload.permits import Permits

MANY, FEW = Account("many"), Account("few")


def opened(limit: int, *, others: bool = False, clock: FakeClock | None = None) -> Permits:
    permits = Permits(limit, others=lambda: others, clock=clock or FakeClock())
    permits.open()
    return permits


def taken(permits: Permits, account: Account, stack: ExitStack) -> int:
    """How many permits it gets until it is refused."""
    for count in range(1000):
        try:
            stack.enter_context(permits.take(account))
        except OverloadedError:
            return count
    raise AssertionError("there is no limit")


def test_no_more_permits_are_out_than_the_limit() -> None:
    permits = opened(2)
    with permits.take(MANY) as first, permits.take(MANY) as second:
        assert first != second
        with pytest.raises(OverloadedError) as refused, permits.take(MANY):
            raise AssertionError("a third permit was given")
        assert refused.value.retry_after > 0
    with permits.take(MANY):
        pass


def test_a_permit_comes_back_when_its_work_fails() -> None:
    permits = opened(1)
    for _ in range(3):
        with pytest.raises(ValueError, match="work"), permits.take(MANY):
            raise ValueError("work")


def test_no_permit_is_given_before_opening() -> None:
    permits = Permits(1)
    with pytest.raises(UnavailableError, match="the server is starting"), permits.take(MANY):
        raise AssertionError("admitted")
    permits.open()
    with permits.take(MANY) as permit:
        assert permit.account is MANY


def test_a_tenant_holds_no_more_than_its_quota() -> None:
    permits = opened(8)
    with permits.take(MANY, 2), permits.take(MANY, 2):
        with pytest.raises(QuotaExceededError) as refused, permits.take(MANY, 2):
            raise AssertionError("a third permit was given")
        assert (refused.value.quota, refused.value.found, refused.value.limit) == ("max_concurrent_requests", 3, 2)
        assert refused.value.retry_after is not None
        with permits.take(FEW):
            pass


def test_a_tenant_alone_on_a_server_may_take_all() -> None:
    with ExitStack() as stack:
        assert taken(opened(64), MANY, stack) == 64


def test_where_there_are_others_the_last_permits_are_left_to_newcomers() -> None:
    permits = opened(64, others=True)
    with ExitStack() as stack:
        assert taken(permits, MANY, stack) == 60
        assert taken(permits, FEW, stack) == 4


def test_a_tenant_that_floods_gives_way_as_its_requests_end() -> None:
    permits = opened(64, others=True)
    with ExitStack() as few:
        with ExitStack() as many:
            assert taken(permits, MANY, many) == 60
            assert taken(permits, FEW, few) == 4
        with ExitStack() as many:
            assert taken(permits, MANY, many) == 30
            assert taken(permits, FEW, few) == 26


def test_shares_are_by_weight() -> None:
    permits = opened(64)
    with permits.take(Account("few", weight=3.0)), ExitStack() as stack:
        assert taken(permits, MANY, stack) == 31  # with the one of the other, half of all
    with ExitStack() as stack:
        assert taken(permits, Account("few", weight=3.0), stack) == 48


def test_a_tenant_that_was_not_seen_for_a_while_has_no_share() -> None:
    clock = FakeClock()
    permits = opened(8, clock=clock)
    with permits.take(FEW):
        pass
    with ExitStack() as stack:
        assert taken(permits, MANY, stack) == 4
    clock.advance(11.0)
    with ExitStack() as stack:
        assert taken(permits, MANY, stack) == 8


def test_the_time_to_retry_follows_how_long_requests_take() -> None:
    clock = FakeClock()
    permits = opened(1, clock=clock)
    for _ in range(50):
        with permits.take(MANY):
            clock.advance(2.0)
    with permits.take(MANY), pytest.raises(OverloadedError) as refused, permits.take(MANY):
        raise AssertionError("a second permit was given")
    assert refused.value.retry_after == pytest.approx(2.0, rel=0.05)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.floats(0, 20)), max_size=60),
    st.integers(1, 8),
)
def test_whatever_comes_and_goes_permits_are_neither_lost_nor_made(
    events: list[tuple[str, bool, float]], limit: int
) -> None:
    clock = FakeClock()
    permits = opened(limit, clock=clock)
    held: dict[str, list[ExitStack]] = {name: [] for name in "abc"}
    for name, comes, seconds in events:
        clock.advance(seconds)
        if not comes and held[name]:
            held[name].pop().close()
        elif comes:
            stack = ExitStack()
            try:
                stack.enter_context(permits.take(Account(name)))
            except OverloadedError:
                continue
            held[name].append(stack)
        assert sum(map(len, held.values())) <= limit
    for stacks in held.values():
        for stack in stacks:
            stack.close()
    clock.advance(11.0)
    with ExitStack() as stack:
        assert taken(permits, Account("d"), stack) == limit

"""What is no use is not served, and nobody fills the queue against the others."""

from hypothesis import given
from hypothesis import strategies as st

from cascade.inference.discipline import INTERVAL
from cascade.inference.fair_queue import FairQueue
from cascade.inference.line import Entry, Reason
from cascade.testing import FakeClock
from tests.unit.inference.served import (
    HEAVY,
    LIGHT,
    OTHER,
    SHADOW,
    URGENT,
    Model,
    Push,
    Step,
    model,
    pushes,
    steps,
    work,
)


@given(st.lists(st.one_of(pushes, steps)), st.booleans())
def test_nothing_is_served_after_its_deadline(events: list[Push | Step], fair: bool) -> None:
    clock = FakeClock()
    queue: FairQueue[int] = FairQueue(clock=clock, fair=fair)
    for event in events:
        if isinstance(event, Push):
            queue.push(work(event.account, event.tokens, until=clock() + event.patience))
            continue
        entry, drops = queue.take()
        assert all(drop.entry.deadline <= clock() for drop in drops if drop.reason is Reason.EXPIRED)
        if entry is not None:
            assert entry.deadline > clock()
            queue.end(entry)
        clock.advance(event.seconds)


@given(st.lists(pushes), st.booleans())
def test_the_bounds_are_kept(events: list[Push], fair: bool) -> None:
    queue: FairQueue[int] = FairQueue(clock=FakeClock(), fair=fair, max_entries=4, max_tokens=100)
    waiting: set[Entry[int]] = set()
    for event in events:
        entry = work(event.account, event.tokens)
        before = sum(one.tokens for one in waiting)
        drops = queue.push(entry)
        waiting.add(entry)
        assert not drops or before >= 100 or len(waiting) > 4
        waiting -= {drop.entry for drop in drops}
        assert len(waiting) <= 4
        assert sum(b.tokens for b in queue.backlogs()) == sum(one.tokens for one in waiting) < 100 + 60


def test_as_many_go_as_the_bound_of_tokens_needs() -> None:
    one = model(max_tokens=100)
    for item in range(9):
        one.push(work(LIGHT, 10, item=item))
    one.push(work(HEAVY, 30, item=9))
    assert one.drops == []
    one.push(work(LIGHT, 5, item=10))
    one.push(work(OTHER, 5, item=11))
    assert [(drop.entry.item, drop.reason) for drop in one.drops] == [
        (10, Reason.FULL),
        *((item, Reason.PUSHED_OUT) for item in (8, 7, 6)),
    ]


def test_an_account_can_fill_the_queue_but_not_against_another() -> None:
    one = model(max_entries=4)
    for item in range(5):
        one.push(work(LIGHT, item=item))
    assert [(drop.entry.item, drop.reason) for drop in one.drops] == [(4, Reason.FULL)]
    one.push(work(OTHER, item=5))
    assert [(drop.entry.item, drop.reason) for drop in one.drops[1:]] == [(3, Reason.PUSHED_OUT)]
    one.work_off()
    assert sorted(one.done) == [0, 1, 2, 5]


def test_a_full_queue_makes_room_for_a_higher_class_and_none_for_a_lower() -> None:
    one = model(max_entries=1)
    one.push(work(LIGHT, item=0))
    one.push(work(SHADOW, item=1))
    one.push(work(URGENT, item=2))
    assert [(drop.entry.item, drop.reason) for drop in one.drops] == [(1, Reason.FULL), (0, Reason.PUSHED_OUT)]


def test_work_that_had_a_turn_is_not_pushed_out() -> None:
    one = model(max_entries=1)
    one.push(work(LIGHT, 100, item=0))
    one.step()
    one.push(work(OTHER, 1, item=1))
    assert [(drop.entry.item, drop.reason) for drop in one.drops] == [(1, Reason.FULL)]


def refused(one: Model) -> list[int]:
    return [drop.entry.item for drop in one.drops if drop.reason is Reason.STANDING]


def test_a_burst_that_is_worked_off_within_an_interval_is_served_in_whole() -> None:
    one = model()
    for item in range(20):
        one.push(work(until=0.8, item=item))
    while one.step(seconds=0.02):
        pass
    assert one.drops == []


def test_a_line_that_stands_loses_what_has_waited_too_long_but_not_the_last() -> None:
    one = model()
    for item in range(100):
        one.push(work(until=2.0, item=item))
    while one.clock() <= 1.0 + INTERVAL:
        one.step(seconds=0.125)
        assert one.drops == []
    served = len(one.served)
    one.step(seconds=0.125)
    assert refused(one) == list(range(served, 99))
    assert one.done == [*range(served), 99]


def test_work_without_a_deadline_may_wait_for_ever() -> None:
    one = model()
    for item in range(100):
        one.push(work(item=item))
    while one.step(seconds=1.0):
        pass
    assert one.drops == []


def test_a_line_that_stands_is_no_reason_to_refuse_an_account_that_holds_less_than_its_share() -> None:
    one = model()
    for item in range(100):
        one.push(work(LIGHT, until=2.0, item=item))
    for item in range(100, 103):
        one.push(work(OTHER, 30, until=2.0, item=item))
    for _ in range(18):
        one.step(seconds=0.1)
    assert {drop.entry.account for drop in one.drops} == {LIGHT}
    assert len(refused(one)) > 50


def test_work_that_had_a_turn_is_not_refused_because_its_line_stands() -> None:
    one = model()
    for item in range(10):
        one.push(work(LIGHT, 100, until=2.0, item=item))
    while one.clock() < 1.9:
        one.step(seconds=0.1)
    assert one.done[0] == 0
    assert 1 not in refused(one)
    assert len(refused(one)) == 7

"""The queue's arithmetic: nothing is lost, and accounts are served by their shares."""

import math
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.budget import Account
from cascade.inference.fair_queue import FairQueue
from cascade.inference.line import Entry
from cascade.testing import FakeClock
from tests.unit.inference.at_once import Job, jobs, shared_at_once, weights
from tests.unit.inference.served import (
    HEAVY,
    LIGHT,
    OTHER,
    SHADOW,
    Leave,
    Model,
    Push,
    Step,
    accounts,
    events,
    model,
    work,
)


@given(events, st.booleans())
def test_every_entry_is_served_in_whole_or_dropped_once_or_left(events: list[Push | Step | Leave], fair: bool) -> None:
    one = model(fair=fair, max_entries=8, max_tokens=200)
    pushed: list[Entry[int]] = []
    left: list[int] = []
    for event in events:
        match event:
            case Push(account, tokens, patience):
                pushed.append(work(account, tokens, until=one.clock() + patience, item=len(pushed)))
                one.push(pushed[-1])
            case Step(seconds):
                waited = sum(b.tokens for b in one.queue.backlogs())
                dropped = len(one.drops)
                assert one.step(seconds=seconds) or not waited or len(one.drops) > dropped, "idle while work waited"
            case Leave(item):
                left += [item] if item < len(pushed) and one.queue.discard(pushed[item]) else []
    one.work_off()
    assert sorted([*one.done, *(drop.entry.item for drop in one.drops), *left]) == list(range(len(pushed)))
    for event, entry in zip((e for e in events if isinstance(e, Push)), pushed, strict=True):
        if entry.item in one.done:
            assert sum(tokens for served, tokens in one.served if served is entry) == event.tokens
    assert sum(b.tokens for b in one.queue.backlogs()) == 0
    assert one.queue.oldest_wait == 0


sizes = st.lists(st.integers(1, 40), min_size=1, max_size=40)


@given(sizes, sizes, st.floats(0.2, 5.0), st.integers(1, 30))
def test_while_two_accounts_wait_their_shares_differ_by_at_most_their_largest_entries(
    one: list[int], other: list[int], weight: float, most: int
) -> None:
    at_work = model(max_entries=100)
    first, second = LIGHT, Account("second", weight=weight)
    left = {first: sum(one), second: sum(other)}
    for account, sizes in ((first, one), (second, other)):
        for size in sizes:
            at_work.push(work(account, size))
    served = dict.fromkeys(left, 0.0)
    highest = lowest = 0.0
    while all(left.values()):
        at_work.step(most=most)
        entry, tokens = at_work.served[-1]
        left[entry.account] -= tokens
        served[entry.account] += tokens / entry.account.weight
        ahead = served[first] - served[second]
        highest, lowest = max(highest, ahead), min(lowest, ahead)
    assert highest - lowest <= max(one) + max(other) / weight + 1e-6


@given(st.lists(st.tuples(st.integers(1, 30), st.sampled_from([1.0, 2.0, 3.0, math.inf])), min_size=1, max_size=20))
def test_within_an_account_the_earliest_deadline_is_served_first(jobs: list[tuple[int, float]]) -> None:
    one = model()
    for item, (tokens, until) in enumerate(jobs):
        one.push(work(tokens=tokens, until=until, item=item))
    one.work_off()
    assert one.done == sorted(range(len(jobs)), key=lambda item: (jobs[item][1], item))


@given(st.lists(st.tuples(accounts, st.integers(1, 30)), max_size=20))
def test_a_class_is_served_only_while_none_above_it_waits(jobs: list[tuple[Account, int]]) -> None:
    one = model()
    for account, tokens in jobs:
        one.push(work(account, tokens))
    one.work_off()
    classes = [entry.account.priority for entry, _ in one.served]
    assert classes == sorted(classes)


@given(st.lists(st.tuples(accounts, st.integers(1, 60), st.sampled_from([1.0, 2.0, math.inf])), max_size=20))
def test_a_plain_queue_serves_in_order_of_arrival_each_to_its_end(jobs: list[tuple[Account, int, float]]) -> None:
    one = model(fair=False)
    for item, (account, tokens, until) in enumerate(jobs):
        one.push(work(account, tokens, until=until, item=item))
    one.work_off()
    order = [entry.item for entry, _ in one.served]
    assert order == sorted(order)
    assert one.done == list(range(len(jobs)))


def many(one: Model, account: Account, count: int = 40, tokens: int = 10) -> None:
    for _ in range(count):
        one.push(work(account, tokens))


def turns(one: Model, count: int) -> list[Account]:
    """Whose turn the next steps are."""
    before = len(one.served)
    for _ in range(count):
        one.step()
    return [entry.account for entry, _ in one.served[before:]]


def test_an_account_that_was_idle_has_no_credit() -> None:
    one = model()
    many(one, LIGHT)
    assert turns(one, 20) == [LIGHT] * 20
    many(one, OTHER)
    assert turns(one, 20).count(LIGHT) == 10


def test_an_account_that_has_no_work_for_a_moment_is_not_forgiven_what_it_was_ahead() -> None:
    one = model()
    many(one, OTHER)
    one.push(work(LIGHT))
    assert turns(one, 1) == [OTHER]
    entry, _ = one.queue.take()
    assert entry is not None
    one.queue.charge(entry, 200)  # which it had not said
    one.queue.end(entry)
    many(one, LIGHT)
    assert turns(one, 19) == [OTHER] * 19
    assert turns(one, 10).count(LIGHT) == 5


def test_accounts_are_served_by_their_weights() -> None:
    one = model()
    for account in (LIGHT, HEAVY):
        many(one, account)
    assert turns(one, 40).count(HEAVY) == 30


def test_a_short_job_ends_before_a_long_one_goes_on() -> None:
    one = model()
    one.push(work(LIGHT, 1000))
    assert turns(one, 3) == [LIGHT] * 3
    one.push(work(OTHER, 50))
    assert turns(one, 6) == [*[OTHER] * 5, LIGHT]


_STEP = 5


@given(jobs, weights)
def test_a_job_ends_no_later_than_if_all_accounts_were_served_at_once(jobs: list[Job], weights: list[float]) -> None:
    """As Parekh and Gallager (1993) prove, but for a few steps: none is interrupted, and shares change at its end."""
    latest = shared_at_once(jobs, weights)
    queue: FairQueue[int] = FairQueue(clock=FakeClock())
    coming = deque(enumerate(jobs))
    ended: dict[int, int] = {}
    now = 0
    while len(ended) < len(jobs):
        entry, _ = queue.take()
        tokens = 0 if entry is None else min(_STEP, entry.tokens)
        now = coming[0][1].arrival if entry is None else now + tokens
        while coming and coming[0][1].arrival <= now:
            item, job = coming.popleft()
            queue.push(work(Account(str(job.account), weights[job.account]), job.size, item=item))
        if entry is None:
            continue
        queue.charge(entry, tokens)
        if entry.tokens:
            queue.put_back(entry)
        else:
            queue.end(entry)
            ended[entry.item] = now
    for item, end in ended.items():
        assert end <= latest[item] + 4 * _STEP


def test_backlogs_tell_what_each_account_waits_for_with_the_work_in_hand() -> None:
    one = model()
    one.push(work(LIGHT, 100))
    one.push(work(SHADOW, 30))
    entry, _ = one.queue.take()
    assert entry is not None
    one.queue.charge(entry, 40)
    one.clock.advance(2.0)
    assert {(b.account, b.tokens) for b in one.queue.backlogs()} == {(LIGHT, 60), (SHADOW, 30)}
    assert one.queue.oldest_wait == pytest.approx(2.0)

"""The queue's arithmetic: nothing is lost, shares are kept, and what is no use is not served."""

import math
from collections import deque
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.budget import Account, Priority
from cascade.inference.discipline import INTERVAL
from cascade.inference.fair_queue import FairQueue
from cascade.inference.line import Drop, Entry, Reason
from cascade.testing import FakeClock

LIGHT, HEAVY, OTHER = Account("light"), Account("heavy", weight=3.0), Account("other")
URGENT, SHADOW = Account("urgent", priority=Priority.HIGH), Account("light", priority=Priority.SHADOW)
ACCOUNTS = (LIGHT, HEAVY, OTHER, URGENT, SHADOW)


@dataclass
class Model:
    """Serves a queue as the worker does, one step at a time, and keeps the books."""

    queue: FairQueue[int]
    clock: FakeClock
    served: list[tuple[Entry[int], int]] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    drops: list[Drop[int]] = field(default_factory=list)

    def push(self, entry: Entry[int]) -> None:
        self.drops += self.queue.push(entry)

    def step(self, *, most: int = 10, seconds: float = 0.0) -> Entry[int] | None:
        entry, drops = self.queue.take()
        self.drops += drops
        if entry is None:
            return None
        tokens = min(most, entry.tokens)
        self.clock.advance(seconds)
        self.served.append((entry, tokens))
        self.queue.charge(entry, tokens)
        if entry.tokens:
            self.queue.put_back(entry)
        else:
            self.queue.end(entry)
            self.done.append(entry.item)
        return entry

    def work_off(self) -> None:
        while self.step():
            pass


def model(*, fair: bool = True, max_entries: int = 256, max_tokens: int = 10_000) -> Model:
    clock = FakeClock()
    return Model(FairQueue(fair=fair, max_entries=max_entries, max_tokens=max_tokens, clock=clock), clock)


def work(account: Account = LIGHT, tokens: int = 10, *, until: float = math.inf, item: int = 0) -> Entry[int]:
    return Entry(account, tokens, until, item)


@dataclass(frozen=True)
class Push:
    account: Account
    tokens: int
    patience: float


@dataclass(frozen=True)
class Step:
    seconds: float


@dataclass(frozen=True)
class Leave:
    item: int


accounts = st.sampled_from(ACCOUNTS)
pushes = st.builds(Push, accounts, st.integers(1, 60), st.sampled_from([math.inf, 0.5, 2.0, 5.0]))
steps = st.builds(Step, st.sampled_from([0.0, 0.1, 0.7]))
events = st.lists(st.one_of(pushes, steps, st.builds(Leave, st.integers(0, 50))), max_size=80)


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


@dataclass
class Job:
    account: int
    size: int
    arrival: int
    left: float = 0.0


def shared_at_once(jobs: list[Job], weights: list[float]) -> list[float]:
    """When each job ends if all accounts are served at the same time by weight, each account's jobs in order."""
    ends, now = [math.inf] * len(jobs), 0.0
    for job in jobs:
        job.left = job.size
    while waiting := [n for n in range(len(jobs)) if ends[n] == math.inf]:
        heads: dict[int, int] = {}
        for n in waiting:
            if jobs[n].arrival <= now + 1e-9:
                heads.setdefault(jobs[n].account, n)
        total = sum(weights[account] for account in heads)
        until = [jobs[n].arrival - now for n in waiting if jobs[n].arrival > now + 1e-9]
        passed = min([*until, *(jobs[n].left * total / weights[account] for account, n in heads.items())])
        now += passed
        for account, n in heads.items():
            jobs[n].left -= passed * weights[account] / total
            if jobs[n].left <= 1e-6:
                ends[n] = now
    return ends


@given(
    st.lists(st.builds(Job, st.integers(0, 3), st.integers(1, 60), st.integers(0, 200)), min_size=1, max_size=15),
    st.lists(st.sampled_from([1.0, 2.0]), min_size=4, max_size=4),
)
def test_a_job_ends_no_later_than_if_all_accounts_were_served_at_once(jobs: list[Job], weights: list[float]) -> None:
    """As Parekh and Gallager (1993) prove, but for a few steps: none is interrupted, and shares change at its end."""
    jobs = sorted(jobs, key=lambda job: job.arrival)
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

"""Batches filled from all who wait: nothing is lost, doubled or mixed, budgets are kept, and shares too."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from cascade.budget import Account
from cascade.inference.fair_queue import FairQueue
from cascade.inference.line import Entry
from cascade.inference.shared_batch import PADDING
from cascade.testing import FakeClock
from tests.unit.inference.at_once import Job, jobs, shared_at_once, weights
from tests.unit.inference.served import HEAVY, LIGHT, OTHER, SHADOW, URGENT, Leave, accounts
from tests.unit.inference.sharing import Asker, Row, Server


def server(most: int = 20, *, fair: bool = True) -> Server:
    return Server(FairQueue(fair=fair, max_entries=1000, clock=FakeClock()), most)


@dataclass(frozen=True)
class Ask:
    account: Account
    lane: int
    lengths: list[int]
    times: int
    said: int


@dataclass(frozen=True)
class Turn:
    pass


lengths = st.lists(st.integers(1, 30), max_size=8)
asks = st.builds(Ask, accounts, st.integers(0, 2), lengths, st.integers(1, 2), st.integers(0, 100))
events = st.lists(st.one_of(asks, asks, st.builds(Turn), st.builds(Leave, st.integers(0, 30))), max_size=60)


def play(one: Server, happens: Sequence[Ask | Turn | Leave]) -> tuple[list[Entry[Asker]], set[int]]:
    """Let it happen, then serve to the end; who asked, and which of them left."""
    entries: list[Entry[Asker]] = []
    left: set[int] = set()

    def check(rows: Sequence[Row]) -> None:
        assert not {owner for owner, _ in rows} & left, "rows were run that nobody waits for"

    one.on_run = check
    for event in happens:
        match event:
            case Ask(account, lane, lengths, times, said):
                entries.append(one.ask(len(entries), account, lane, lengths, times=times, said=said))
            case Turn():
                one.batch()
            case Leave(item):
                if item < len(entries):
                    entries[item].item.wanted = False
                    if one.queue.discard(entries[item]):
                        left.add(item)
    while one.batch():
        pass
    return entries, left


@given(events, st.booleans())
def test_every_row_is_run_once_and_its_result_reaches_its_owner_in_order(
    happens: list[Ask | Turn | Leave], fair: bool
) -> None:
    one = server(fair=fair)
    entries, left = play(one, happens)
    assert len(one.order) == len(set(one.order))
    for item, entry in enumerate(entries):
        if item not in left:
            assert entry in one.done
            assert all(rows.results == list(rows.rows) for rows in entry.item.asked)
    assert one.queue.idle
    assert one.queue.tokens == 0


@given(events, st.booleans())
def test_a_batch_keeps_its_budget_and_is_of_one_lane_and_one_class(
    happens: list[Ask | Turn | Leave], fair: bool
) -> None:
    one = server(fair=fair)
    play(one, happens)
    for batch in one.batches:
        (lane,) = {entry.item.asked[0].lane for entry in batch.lengths}
        size = lane.size(batch.flat)
        assert len(batch.flat) == 1 or size <= lane.most_tokens
        assert sum(batch.flat) >= (1 - PADDING) * size - 1e-9
        assert not fair or len({entry.account.priority for entry in batch.lengths}) == 1


asked_for = st.lists(
    st.tuples(st.integers(0, 2), st.lists(st.integers(1, 12), min_size=1, max_size=6)), min_size=1, max_size=25
)


@given(st.lists(asked_for, min_size=2, max_size=3), st.sampled_from([0.2, 1.0, 3.0]), st.integers(8, 30))
def test_while_accounts_wait_their_shares_differ_by_at_most_their_largest_entries_and_a_batch(
    asked: list[list[tuple[int, list[int]]]], weight: float, most: int
) -> None:
    one = server(most)
    names = [Account(str(n), weight=weight if n else 1.0) for n in range(len(asked))]
    largest, left = {}, {}
    for account, entries in zip(names, asked, strict=True):
        left[account] = sum(sum(each) for _, each in entries)
        largest[account] = max(sum(each) for _, each in entries)
        for lane, each in entries:
            one.ask(0, account, lane, each)
    served = [dict.fromkeys(names, 0.0)]
    while all(left.values()) and (batch := one.batch()):
        served.append(dict(served[-1]))
        for entry, each in batch.lengths.items():
            left[entry.account] -= sum(each)
            served[-1][entry.account] += sum(each) / entry.account.weight
    for first, second in combinations(names, 2):
        ahead = [shares[first] - shares[second] for shares in served]
        bound = sum((largest[account] + max(most, 12)) / account.weight for account in (first, second))
        assert max(ahead) - min(ahead) <= bound + 1e-6


def test_whoever_fills_the_batches_of_another_does_not_overtake_who_cannot() -> None:
    one, served = server(most=20), dict.fromkeys((LIGHT, OTHER), 0)
    for item in range(100):
        one.ask(item, LIGHT, 0, [10])
        one.ask(item, OTHER, 2, [10])
    for item in range(100, 160):
        one.ask(item, Account("leads", weight=1000.0), 2, [1])
        batch = one.batch()
        assert batch is not None
        for entry, each in batch.lengths.items():
            if entry.account in served:
                served[entry.account] += sum(each)
        assert abs(served[LIGHT] - served[OTHER]) <= 10 + 20


def test_callers_of_one_lane_fill_a_batch_in_the_order_of_their_turns() -> None:
    one = server(most=20)
    first = one.ask(0, LIGHT, 0, [7, 7, 7, 7])
    second, third = one.ask(1, OTHER, 0, [4, 4]), one.ask(2, HEAVY, 0, [3, 3])
    urgent, shadow = one.ask(3, URGENT, 0, [6]), one.ask(4, SHADOW, 0, [5])
    batches = []
    while batch := one.batch():
        batches.append(batch.lengths)
    assert batches == [
        {urgent: [6]},
        {third: [3, 3], second: [4, 4]},
        {first: [7, 7]},
        {first: [7, 7]},
        {shadow: [5]},
    ]


def test_the_room_of_a_batch_is_shared_by_weight() -> None:
    one = server(most=40)
    for item in range(20):
        one.ask(item, LIGHT, 0, [5])
        one.ask(item, HEAVY, 0, [5])
    batch = one.batch()
    assert batch is not None
    assert [entry.account for entry in batch.lengths].count(HEAVY) == 6
    assert len(batch.lengths) == 8


def test_work_is_begun_for_anothers_batch_only_if_a_batch_may_hold_it() -> None:
    one = server(most=20)
    leader = one.ask(0, LIGHT, 0, [5])
    long, short = one.ask(1, LIGHT, 0, [5] * 5), one.ask(2, LIGHT, 0, [5])
    batch = one.batch()
    assert batch is not None
    assert batch.lengths == {leader: [5], short: [5]}
    assert not long.item.begun


def test_what_is_begun_in_vain_is_no_more_than_a_batch() -> None:
    one = server(most=20)
    leader = one.ask(0, LIGHT, 0, [15])
    others = [one.ask(n, LIGHT, 0, [10]) for n in range(1, 4)]
    batch = one.batch()
    assert batch is not None
    assert batch.lengths == {leader: [15]}
    assert [entry.item.begun for entry in others] == [True, True, False]


def test_a_plain_queue_fills_its_batches_in_order_of_arrival() -> None:
    one = server(most=20, fair=False)
    for item, account in enumerate((SHADOW, URGENT, LIGHT)):
        one.ask(item, account, 0, [8, 8])
    while one.batch():
        pass
    assert one.order == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]
    assert [len(batch.flat) for batch in one.batches] == [2, 2, 2]


_BATCH = 10


@given(jobs, weights)
def test_a_job_ends_no_later_than_if_all_accounts_were_served_at_once(jobs: list[Job], weights: list[float]) -> None:
    """But for a few batches: what is in hand is not interrupted, and a batch ends with the last of its rows."""
    latest = shared_at_once(jobs, weights)
    one, coming = server(_BATCH), deque(enumerate(jobs))
    ended: dict[int, int] = {}
    now = 0
    while len(ended) < len(jobs):
        batch = one.batch()
        now = now + sum(batch.flat) if batch else coming[0][1].arrival
        for entry in one.done:
            ended.setdefault(entry.item.asked[0].rows[0][0], now)
        while coming and coming[0][1].arrival <= now:
            item, job = coming.popleft()
            one.ask(item, Account(str(job.account), weights[job.account]), 0, [1] * job.size)
    for item, end in ended.items():
        assert end <= latest[item] + 8 * _BATCH

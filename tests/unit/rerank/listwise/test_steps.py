"""Whatever lists are read, and whenever reading stops: a permutation, and with good answers a good one."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.inference.stepwise import Stepwise, run_through
from cascade.rerank.listwise.logits import by_windows
from cascade.rerank.listwise.setwise import setwise
from cascade.rerank.listwise.steps import Answer, Lists, Steps, in_both_orders, run_async
from cascade.rerank.listwise.steps import run as run_in_steps
from cascade.rerank.listwise.tournament import groups_of, tournament

MAKERS: dict[str, Callable[[int], Steps]] = {
    "logits": lambda count: by_windows(count, window=4, stride=2),
    "setwise": lambda count: setwise(count, children=3, top=5),
    "tournament": lambda count: tournament(count, group=4, rounds=2),
}
kinds = pytest.mark.parametrize("kind", MAKERS)


def run(steps: Steps, judge: Callable[[Lists], list[Answer]]) -> tuple[list[int], bool]:
    """Each reading is a step of a token for each document."""

    def read(lists: Lists) -> Stepwise[list[Answer]]:
        yield sum(map(len, lists))
        return judge(lists)

    return run_through(run_in_steps(steps, read))


class Judge:
    """Answers by what documents are worth, for as many lists as there is time for."""

    def __init__(self, worth: list[float], lists: float = float("inf")) -> None:
        self.worth = worth
        self.lists = lists
        self.read: Lists = []

    def __call__(self, lists: Lists) -> list[Answer]:
        kept = lists[: int(min(len(lists), self.lists))]
        self.lists -= len(kept)
        self.read += kept
        return [[self.worth[document] for document in one] for one in kept]


@kinds
@given(worth=st.lists(st.integers(0, 9).map(float), max_size=30), lists=st.integers(0, 40))
def test_the_order_is_a_permutation_whenever_reading_stops(kind: str, worth: list[float], lists: int) -> None:
    judge = Judge(worth, lists)
    order, complete = run(MAKERS[kind](len(worth)), judge)
    assert sorted(order) == list(range(len(worth)))
    assert complete or len(judge.read) == lists


@kinds
@given(count=st.integers(2, 30), seed=st.integers(0, 50))
def test_the_best_document_comes_first(kind: str, count: int, seed: int) -> None:
    worth = [float(value) for value in Random(seed).sample(range(100), count)]
    order, complete = run(MAKERS[kind](count), Judge(worth))
    assert complete
    assert worth[order[0]] == max(worth)


@kinds
@given(count=st.integers(1, 30))
def test_when_all_are_equal_or_nothing_is_read_the_order_received_stands(kind: str, count: int) -> None:
    received = list(range(count))
    assert run(MAKERS[kind](count), Judge([0.0] * count, lists=0))[0] == received
    if kind != "tournament":  # there the draw decides between equals
        assert run(MAKERS[kind](count), Judge([0.0] * count))[0] == received


@kinds
@given(count=st.integers(2, 30), lists=st.integers(1, 10), seed=st.integers(0, 20))
def test_reading_less_never_reads_other_lists(kind: str, count: int, lists: int, seed: int) -> None:
    worth = [float(value) for value in Random(seed).sample(range(100), count)]
    short, whole = Judge(worth, lists), Judge(worth)
    run(MAKERS[kind](count), short)
    run(MAKERS[kind](count), whole)
    assert short.read == whole.read[: len(short.read)]


@kinds
async def test_waiting_for_answers_changes_nothing(kind: str) -> None:
    worth = [float(value) for value in Random(1).sample(range(100), 17)]
    judge = Judge(worth, lists=9)

    async def read(lists: Lists) -> list[Answer]:
        return judge(lists)

    assert await run_async(MAKERS[kind](17), read) == run(MAKERS[kind](17), Judge(worth, lists=9))


@given(st.lists(st.integers(0, 50).map(float), min_size=1, max_size=30, unique=True), st.integers(1, 5))
def test_setwise_sorts_the_head_and_leaves_the_rest(worth: list[float], children: int) -> None:
    order, _ = run(setwise(len(worth), children=children, top=5), Judge(worth))
    best = sorted(range(len(worth)), key=lambda d: -worth[d])[:5]
    assert order == [*best, *(d for d in range(len(worth)) if d not in best)]


def test_setwise_compares_far_fewer_than_all_pairs() -> None:
    judge = Judge([float(v) for v in Random(2).sample(range(1000), 100)])
    run(setwise(100, children=3, top=10), judge)
    assert len(judge.read) < 90
    assert max(map(len, judge.read)) == 4


def test_setwise_stopped_while_the_heap_is_built_keeps_the_winners_up() -> None:
    worth = [0.0] * 19 + [1.0]
    order, complete = run(setwise(20, children=3, top=10), Judge(worth, lists=1))
    assert not complete
    assert order.index(19) == 6  # its parent's place


def test_windows_carry_the_best_from_the_back_to_the_front() -> None:
    order, _ = run(by_windows(20, window=4, stride=2), Judge([float(d) for d in range(20)]))
    assert order[:2] == [19, 18]


def test_a_tournament_gives_the_same_draw_every_time_and_another_in_each_round() -> None:
    judges = [Judge([float(d) for d in range(16)]) for _ in range(2)]
    for judge in judges:
        run(tournament(16, group=4, rounds=2), judge)
    first, second = judges[0].read[:4], judges[0].read[8:12]
    assert judges[0].read == judges[1].read
    assert first != second
    assert sorted(d for one in second for d in one) == list(range(16))


def test_groups_that_time_did_not_suffice_for_go_by_the_order_received() -> None:
    judge = Judge([float(d) for d in range(8)], lists=1)
    order, complete = run(tournament(8, group=4, rounds=1), judge)
    (group,) = judge.read
    unread = [d for d in range(8) if d not in group]
    assert not complete
    assert order == sorted(sorted(group)[2:] + unread[:2]) + sorted(sorted(group)[:2] + unread[2:])


@given(st.integers(2, 40), st.integers(2, 10), st.integers(0, 5))
def test_groups_are_even_and_favourites_meet_late(count: int, group: int, seed: int) -> None:
    groups = groups_of(range(count), group, Random(seed))
    sizes = {len(one) for one in groups}
    assert sorted(d for one in groups for d in one) == list(range(count))
    assert max(sizes) <= group
    assert max(sizes) - min(sizes) <= 1
    assert all(any(d < len(groups) for d in one) for one in groups)


@kinds
@given(worth=st.lists(st.integers(0, 9).map(float), max_size=20), lists=st.integers(0, 40))
def test_reading_both_orders_changes_nothing_for_who_looks_at_documents_only(
    kind: str, worth: list[float], lists: int
) -> None:
    once, twice = Judge(worth, lists), Judge(worth, 2 * lists)
    expected = run(MAKERS[kind](len(worth)), once)
    assert run(in_both_orders(MAKERS[kind](len(worth))), twice) == expected
    assert twice.read == [order for one in once.read for order in (one, one[::-1])]


@kinds
def test_reading_both_orders_corrects_who_prefers_later_places(kind: str) -> None:
    def biased(lists: Lists) -> list[Answer]:
        return [[50.0 * place - document for place, document in enumerate(one)] for one in lists]

    assert run(in_both_orders(MAKERS[kind](12)), biased)[0][0] == 0
    assert run(MAKERS[kind](12), biased)[0][0] != 0


def test_a_list_that_was_read_one_way_only_counts_as_unread() -> None:
    judge = Judge([0.0, 1.0, 2.0, 3.0], lists=1)
    assert run(in_both_orders(by_windows(4, window=4, stride=2)), judge) == ([0, 1, 2, 3], False)

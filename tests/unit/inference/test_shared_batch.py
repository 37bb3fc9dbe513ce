"""A shared batch keeps its lane's budget, pads little, and loses, doubles and mixes nothing."""

from collections.abc import Callable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from cascade.inference.rows import Lane, Rows
from cascade.inference.shared_batch import PADDING, SharedBatch, run, run_alone

Row = tuple[int, int]
"""Whose it is, and which."""


def padded(lengths: Sequence[int]) -> int:
    return max(lengths) * len(lengths) if lengths else 0


sizes = st.sampled_from([sum, padded])
owners = st.lists(st.lists(st.integers(1, 60), max_size=12), min_size=1, max_size=6)


def batches_of(lane: Lane[Row, Row], waiting: Sequence[Rows[Row, Row]]) -> list[list[int]]:
    """Run everything, as many owners a batch as it holds; the lengths of each batch."""
    found = []
    while leaders := [one for one in waiting if one.left]:
        batch = SharedBatch(lane)
        shares = [share for one in leaders if (share := batch.take(one)).places]
        run(shares)
        found.append([share.owner.lengths[place] for share in shares for place in share.places])
    return found


def rows_of(lane: Lane[Row, Row], lengths: Sequence[Sequence[int]]) -> list[Rows[Row, Row]]:
    return [Rows(lane, [(owner, n) for n in range(len(one))], one) for owner, one in enumerate(lengths)]


@given(owners, sizes, st.integers(1, 100))
def test_every_row_is_run_once_and_its_result_is_its_own(
    lengths: list[list[int]], size: Callable[[Sequence[int]], int], most: int
) -> None:
    ran: list[Row] = []

    def echo(rows: Sequence[Row]) -> Sequence[Row]:
        ran.extend(rows)
        return rows

    waiting = rows_of(lane := Lane(echo, most, size), lengths)
    batches_of(lane, waiting)
    assert sorted(ran) == [(owner, n) for owner, one in enumerate(lengths) for n in range(len(one))]
    assert [one.results for one in waiting] == [list(one.rows) for one in waiting]


@given(owners, sizes, st.integers(1, 100))
def test_a_batch_keeps_the_budget_and_pads_a_tenth_at_most_or_is_one_row(
    lengths: list[list[int]], size: Callable[[Sequence[int]], int], most: int
) -> None:
    lane = Lane[Row, Row](lambda rows: rows, most, size)
    for batch in batches_of(lane, rows_of(lane, lengths)):
        assert len(batch) == 1 or (size(batch) <= most and sum(batch) >= (1 - PADDING) * size(batch) - 1e-9)


@given(owners, st.integers(1, 100))
def test_without_padding_there_is_no_room_for_any_row_that_was_left(lengths: list[list[int]], most: int) -> None:
    waiting = rows_of(Lane[Row, Row](lambda rows: rows, most), lengths)
    batch = SharedBatch(waiting[0].lane)
    taken = sum(batch.take(one).tokens for one in waiting)
    assert all(taken + one.lengths[place] > most for one in waiting for place in one.left)


def test_alone_an_owner_has_the_same_batches_as_in_a_queue() -> None:
    ran: list[Sequence[int]] = []

    def keep(rows: Sequence[int]) -> Sequence[int]:
        ran.append(rows)
        return rows

    run_alone(Rows(Lane(keep, 10), range(5), [3, 9, 2, 4, 1]))
    assert ran == [[1, 4], [3, 0, 2]]


def test_rows_of_another_lane_are_not_taken() -> None:
    lane, other = (Lane[int, int](lambda rows: rows, 10) for _ in range(2))
    asked = Rows(other, [1], [1])
    assert SharedBatch(lane).take(asked).places == ()
    assert asked.left == [0]

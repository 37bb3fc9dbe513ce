"""A strip is cut so that every sequence is in one piece, and the pieces take about equally long."""

from hypothesis import given
from hypothesis import strategies as st

from cascade.inference.towers.native.pieces import pieces


@given(st.lists(st.integers(1, 600), min_size=1, max_size=60), st.integers(1, 16))
def test_every_sequence_is_in_one_piece(lengths: list[int], threads: int) -> None:
    found = pieces(lengths, threads)

    assert sorted(place for piece in found for place in piece) == list(range(len(lengths)))
    assert all(found)


@given(st.lists(st.integers(1, 600), min_size=1, max_size=60), st.integers(1, 16))
def test_pieces_differ_by_no_more_than_the_longest_sequence(lengths: list[int], threads: int) -> None:
    loads = [sum(lengths[place] for place in piece) for piece in pieces(lengths, threads)]

    assert max(loads) - min(loads) <= max(lengths)


def test_there_are_as_many_pieces_as_threads() -> None:
    assert len(pieces([100] * 10, 2)) == 2


def test_little_work_is_done_by_one_thread() -> None:
    assert len(pieces([20, 20], 8)) == 1


def test_much_work_is_done_in_rounds() -> None:
    assert len(pieces([100] * 41, 2)) == 10

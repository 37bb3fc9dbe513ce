"""Windows hold every document, meet the windows beside them, and never lose one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.rerank.listwise.windows import Window, put_in_order, sliding, waves

SIZES = st.integers(1, 12).flatmap(lambda window: st.tuples(st.just(window), st.integers(1, window)))


def test_windows_slide_from_the_back_to_the_front() -> None:
    assert [(w.start, w.end) for w in sliding(40, 20, 10)] == [(20, 40), (10, 30), (0, 20)]


def test_what_is_left_at_the_front_is_read_with_those_that_climbed() -> None:
    assert [(w.start, w.end) for w in sliding(21, 20, 10)] == [(1, 21), (0, 11)]


def test_few_documents_take_one_window_and_none_takes_none() -> None:
    assert sliding(5, 20, 10) == [Window(0, 5)]
    assert sliding(0, 20, 10) == []


@given(st.integers(1, 100), SIZES)
def test_every_position_is_read_and_neighbours_share_the_overlap(count: int, sizes: tuple[int, int]) -> None:
    window, stride = sizes
    windows = sliding(count, window, stride)
    assert {p for w in windows for p in range(w.start, w.end)} == set(range(count))
    assert all(len(w) <= window for w in windows)
    assert windows[0].end == count
    assert windows[-1].start == 0
    for later, sooner in zip(windows[1:], windows, strict=False):
        assert later.end - sooner.start == window - stride


@given(st.integers(0, 60), SIZES)
def test_waves_hold_every_window_once_apart_and_in_turn(count: int, sizes: tuple[int, int]) -> None:
    windows = sliding(count, *sizes)
    groups = waves(windows)
    assert sorted(w.start for group in groups for w in group) == sorted(w.start for w in windows)
    turn = {w.start: number for number, group in enumerate(groups) for w in group}
    for index, window in enumerate(windows):
        for other in windows[index + 1 :]:
            assert not window.overlaps(other) or turn[window.start] < turn[other.start]


def test_windows_that_do_not_overlap_run_together() -> None:
    assert len(waves(sliding(40, 10, 10))) == 1
    assert len(waves(sliding(40, 20, 10))) == 3


@given(st.permutations(range(10)), st.integers(0, 6), st.permutations(range(4)))
def test_a_window_is_rearranged_and_nothing_else(order: list[int], start: int, local: list[int]) -> None:
    after = put_in_order(order, Window(start, start + 4), local)
    assert sorted(after) == sorted(order)
    assert after[:start] == order[:start]
    assert after[start + 4 :] == order[start + 4 :]
    assert after[start] == order[start + local[0]]


@pytest.mark.parametrize("local", [[0, 0], [0], [0, 2], [0, 1, 2]])
def test_an_order_that_is_no_permutation_is_refused(local: list[int]) -> None:
    with pytest.raises(ValueError, match="names each place once"):
        put_in_order("abc", Window(0, 2), local)


@pytest.mark.parametrize("stride", [0, 6])
def test_a_stride_that_would_skip_documents_is_refused(stride: int) -> None:
    with pytest.raises(ValueError, match="the stride is"):
        sliding(10, 5, stride)


def test_a_window_without_anything_in_it_is_refused() -> None:
    with pytest.raises(ValueError, match="holds something"):
        Window(3, 3)

"""Blocks hold every passage once, and their answers merge by the published arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.rerank.listwise.blocks import merge, split_into_blocks


@given(st.lists(st.integers(1, 100), max_size=60), st.integers(100, 400), st.integers(1, 40))
def test_blocks_hold_every_passage_once_in_order_and_within_room(lengths: list[int], room: int, most: int) -> None:
    blocks = split_into_blocks(lengths, room, most=most)
    assert [index for block in blocks for index in block] == list(range(len(lengths)))
    assert all(0 < len(block) <= most for block in blocks)
    assert all(sum(lengths[i] for i in block) <= room for block in blocks)


def test_what_fits_stays_in_one_block() -> None:
    assert split_into_blocks([50, 50], 100, most=9) == [[0, 1]]


def test_blocks_are_filled_evenly() -> None:
    assert [len(block) for block in split_into_blocks([10] * 12, 100, most=99)] == [6, 6]


def test_a_passage_longer_than_a_block_is_refused() -> None:
    with pytest.raises(ValueError, match="more than the 100 of a block"):
        split_into_blocks([101], 100, most=9)


def test_one_block_keeps_its_cosines() -> None:
    query = np.array([1.0, 0.0], dtype=np.float32)
    passages = np.array([[0.6, 0.8], [-1.0, 0.0]], dtype=np.float32)
    assert merge([query], [passages]) == pytest.approx([0.6, -1.0])


def test_the_block_with_the_better_answer_has_more_say() -> None:
    queries = [np.array([1.0, 0.0], dtype=np.float32), np.array([0.0, 1.0], dtype=np.float32)]
    passages = [np.array([[1.0, 0.0]], dtype=np.float32), np.array([[1.0, 0.0]], dtype=np.float32)]
    # Best scores 1 and 0, weights 1 and 1/2: the mean query points along (1, 0.5).
    expected = 1 / np.sqrt(1.25)
    assert merge(queries, passages) == pytest.approx([expected, expected])


def test_queries_that_cancel_still_give_finite_scores() -> None:
    along = np.array([1.0, 0.0], dtype=np.float32)
    scores = merge([along, -along], [np.array([along]), np.array([-along])])
    assert scores == pytest.approx([1.0, -1.0])

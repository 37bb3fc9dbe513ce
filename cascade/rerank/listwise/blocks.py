"""Which passages share a context, and how the contexts' answers become one: pure arithmetic."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]


def split_into_blocks(lengths: Sequence[int], room: int, *, most: int) -> list[list[int]]:
    """Indices of `lengths` in order, cut into the fewest runs of at most `most` items and `room` tokens each.

    The runs are then filled evenly, because a cosine is worth more the more passages it was compared with.
    A length above `room` is a ValueError: its passage had to be cut before.
    """
    if lengths and max(lengths) > room:
        raise ValueError(f"a passage takes {max(lengths)} tokens, more than the {room} of a block")
    count = len(_fill(lengths, room, most))
    level = -(-sum(lengths) // count) if count else 0
    while len(even := _fill(lengths, max(level, max(lengths, default=0)), most)) > count:
        level += max(1, room // 32)
        if level >= room:
            return _fill(lengths, room, most)
    return even


def _fill(lengths: Sequence[int], room: int, most: int) -> list[list[int]]:
    blocks: list[list[int]] = []
    left = 0
    for index, length in enumerate(lengths):
        if not blocks or length > left or len(blocks[-1]) == most:
            blocks.append([])
            left = room
        blocks[-1].append(index)
        left -= length
    return blocks


def merge(queries: Sequence[Vectors], passages: Sequence[Vectors]) -> npt.NDArray[np.float64]:
    """Scores in [-1, 1] of all passages of all blocks, in order.

    `queries[i]` (d,) and `passages[i]` (n_i, d) are block i's unit vectors. Each block's query vector counts
    with (1 + its best score) / 2, so that a block without an answer has little say, and every passage is scored
    anew against the weighted mean (as published for jina-reranker-v3).
    """
    weights = [(1.0 + float((block @ query).max())) / 2.0 for query, block in zip(queries, passages, strict=True)]
    mean = np.sum([weight * query.astype(np.float64) for weight, query in zip(weights, queries, strict=True)], axis=0)
    length = float(np.linalg.norm(mean))
    # Every weight is 0, or opposite vectors cancel: no block's query is better than another's.
    query = mean / length if length > 1e-9 else queries[0].astype(np.float64)
    return np.clip(np.concatenate(passages).astype(np.float64) @ query, -1.0, 1.0)

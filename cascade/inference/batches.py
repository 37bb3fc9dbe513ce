"""Batches by token budget: pure arithmetic, no model and no clock."""

from __future__ import annotations

from collections.abc import Sequence


def by_token_budget(lengths: Sequence[int], max_batch_tokens: int) -> list[list[int]]:
    """Split items into batches of similar length whose padded size stays within the budget.

    `lengths[i]` is item i's length in tokens. Returns lists of indices that together hold every index once, longest
    items first, so that the worst batch for memory runs first. A batch's padded size is its longest length times its
    count; only an item longer than the budget exceeds it, alone in its batch.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    batches: list[list[int]] = []
    for index in order:
        last = batches[-1] if batches else None
        if last is not None and lengths[last[0]] * (len(last) + 1) <= max_batch_tokens:
            last.append(index)
        else:
            batches.append([index])
    return batches


def consecutive(lengths: Sequence[int], room: int) -> list[list[int]]:
    """Indices in order, cut into runs of at most `room` tokens; an item longer than that is alone."""
    runs: list[list[int]] = []
    used = 0
    for index, length in enumerate(lengths):
        if not runs or used + length > room:
            runs.append([])
            used = 0
        runs[-1].append(index)
        used += length
    return runs

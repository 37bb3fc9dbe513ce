"""How a strip is cut for several threads: pure arithmetic."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

_MOST = 512
"""Tokens of a piece, whose widest sums, four bytes each, then fit a core's caches."""
_LEAST = 64
"""Fewer are not worth a thread of their own."""


def pieces(lengths: Sequence[int], threads: int, *, most: int = _MOST) -> list[list[int]]:
    """Sequences by their numbers, each in one piece, in pieces that take about equally long.

    As many as there are threads, or a multiple of that where they would be longer than `most`, which only a sequence
    that is longer by itself exceeds by more than its own length; fewer where there is little to do.
    """
    total = sum(lengths)
    rounds = max(1, -(-total // (most * threads)))
    count = max(1, min(threads * rounds, len(lengths), -(-total // _LEAST)))
    load = [(0, number) for number in range(count)]
    found: list[list[int]] = [[] for _ in range(count)]
    for place in sorted(range(len(lengths)), key=lambda one: (-lengths[one], one)):
        tokens, number = heapq.heappop(load)
        found[number].append(place)
        heapq.heappush(load, (tokens + lengths[place], number))
    return [sorted(one) for one in found if one]

"""Which windows of a ranking are read when a model cannot read all of it at once: pure arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Window:
    """Positions `start` (inclusive, from 0) to `end` (exclusive) of an order; never empty."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ValueError(f"a window begins at 0 or later and holds something, found {self.start} to {self.end}")

    def __len__(self) -> int:
        return self.end - self.start

    def of(self, order: Sequence[T]) -> list[T]:
        """What stands in this window of `order`."""
        return list(order[self.start : self.end])

    def overlaps(self, other: Window) -> bool:
        """Whether the two share a position, so that one must be put in order before the other is read."""
        return self.start < other.end and other.start < self.end


def sliding(count: int, window: int, stride: int) -> list[Window]:
    """Windows over `count` positions from the back to the front, in the order in which they are read (Sun et al.,
    2023, "Is ChatGPT good at search?").

    Together they hold every position. The best `window - stride` of each are read again in the next, which is how a
    document climbs; the last window begins at 0 and may be shorter. Raises ValueError for a stride below 1, or above
    the window: some documents would never be read.
    """
    if not 1 <= stride <= window:
        raise ValueError(f"the stride is {stride}, expected 1 to the window's {window}")
    ends = range(count, 0, -stride)
    windows = [Window(max(0, end - window), end) for end in ends]
    first = next((i for i, one in enumerate(windows) if one.start == 0), len(windows))
    return windows[: first + 1]


def waves(windows: Sequence[Window]) -> list[list[Window]]:
    """`windows` in groups: those of a group share no position and may be read at the same time, once every group
    before theirs has been put in order. Overlapping windows keep their turn, so the outcome is that of one by one.
    """
    turns: list[int] = []
    groups: list[list[Window]] = []
    for index, window in enumerate(windows):
        earlier = (turns[i] for i in range(index) if windows[i].overlaps(window))
        turn = max(earlier, default=-1) + 1
        turns.append(turn)
        if turn == len(groups):
            groups.append([])
        groups[turn].append(window)
    return groups


def put_in_order(order: Sequence[T], window: Window, local: Sequence[int]) -> list[T]:
    """`order` with what stands in `window` rearranged; `local[0]` is the place within the window, from 0, of what
    comes first. Raises ValueError when `local` is no permutation of the window's places.
    """
    inside = window.of(order)
    if sorted(local) != list(range(len(inside))):
        raise ValueError(f"the order of a window of {len(inside)} names each place once, found {list(local)}")
    return [*order[: window.start], *(inside[place] for place in local), *order[window.end :]]

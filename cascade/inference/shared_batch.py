"""One batch of a model, filled with rows of several owners: pure arithmetic, no clock and no threads."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from cascade.inference.rows import Lane, Rows

R = TypeVar("R")
S = TypeVar("S")

PADDING = 0.1
"""Of a batch's size, the part that may be padding."""


@dataclass(frozen=True, eq=False)
class Share(Generic[R, S]):
    """Which rows of one owner are in a batch."""

    owner: Rows[R, S]
    places: Sequence[int]

    @property
    def tokens(self) -> int:
        """Of these rows, without padding."""
        return sum(self.owner.lengths[place] for place in self.places)


class SharedBatch(Generic[R, S]):
    """Rows of one lane, none of them twice, of at most the lane's tokens and a tenth of padding; or one long row."""

    def __init__(self, lane: Lane[R, S]) -> None:
        self._lane = lane
        self._lengths: list[int] = []

    @property
    def full(self) -> bool:
        """Whether there is no room for the shortest row."""
        return not self._may_hold(1)

    def take(self, owner: Rows[R, S]) -> Share[R, S]:
        """Take as many of the owner's rows as there is room for, the longest first; none of another lane's."""
        if owner.lane is not self._lane or not owner.left or not self._may_hold(owner.lengths[owner.left[-1]]):
            return Share(owner, ())
        lengths = [owner.lengths[place] for place in owner.left]
        if self._holds(lengths):
            self._lengths += lengths
            taken, owner.left = owner.left, []
            return Share(owner, taken)
        chosen = self._choose(lengths)
        self._lengths += [lengths[n] for n in chosen]
        taken, gone = [owner.left[n] for n in chosen], set(chosen)
        owner.left = [place for n, place in enumerate(owner.left) if n not in gone]
        return Share(owner, taken)

    def _choose(self, lengths: Sequence[int]) -> list[int]:
        """Of rows in falling order of length, those that fit: each the longest for which there is room."""
        before = len(self._lengths)
        taken: list[int] = []
        n = 0
        while n < len(lengths):
            if not self._lengths or self._holds(lengths[n : n + 1]):
                self._lengths.append(lengths[n])
                taken.append(n)
            elif not self._has_room(lengths[n]):
                n = bisect_left(lengths, True, lo=n + 1, key=self._has_room)
                continue
            elif lengths[n] <= max(self._lengths):
                break  # it would be padded too much, and the shorter ones more
            n += 1
        del self._lengths[before:]
        return taken

    def _may_hold(self, shortest: int) -> bool:
        return not self._lengths or self._has_room(shortest)

    def _has_room(self, length: int) -> bool:
        return self._lane.size([*self._lengths, length]) <= self._lane.most_tokens

    def _holds(self, more: Sequence[int]) -> bool:
        together = [*self._lengths, *more]
        size = self._lane.size(together)
        return size <= self._lane.most_tokens and (1 - PADDING) * size <= sum(together)


def run(shares: Iterable[Share[Any, Any]]) -> None:
    """Run the rows of these shares of one batch together, and give every owner its results.

    Raises what the lane raises, and ValueError where it has not one result for every row; no owner has any then.
    """
    shares = list(shares)
    lane = shares[0].owner.lane
    rows = [share.owner.rows[place] for share in shares for place in share.places]
    found = lane.run(rows)
    if len(found) != len(rows):
        raise ValueError(f"found {len(found)} results of {len(rows)} rows, expected one of each; mend the lane's run")
    results = iter(found)
    for share in shares:
        for place in share.places:
            share.owner.results[place] = next(results)


def run_alone(owner: Rows[Any, Any]) -> None:
    """Run all its rows, in the batches that they would make in a queue where nothing else waits."""
    while owner.left:
        run([SharedBatch(owner.lane).take(owner)])

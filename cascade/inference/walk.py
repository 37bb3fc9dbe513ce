"""Whose turns would come next while a batch has room: the order as arithmetic."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from cascade.inference.line import Entry, Line

T = TypeVar("T")


class Walk(Generic[T]):
    """The entries that wait in the lines of one class, each once, in the order of their turns.

    What entries have in the batch is reckoned as charged. Those that are `passed_over`, because not all that they wait
    for is in it, are overtaken by an account by at most `most` tokens over its weight: a longer batch delays them.
    """

    def __init__(self, lines: Iterable[Line[T]], line_of: Callable[[Entry[T]], Line[T]], most: int) -> None:
        self._line_of = line_of
        self._most = most
        self._waiting = {line: deque(line.entries) for line in lines if line.entries}
        self._taken: dict[Line[T], int] = {}
        self._limit = math.inf
        """The virtual time at which the first that was passed over is to end."""

    def next(self) -> Entry[T] | None:
        """The entry whose turn comes next, none after the last."""
        while self._waiting:
            ends, _, line = min(
                (self._ends(line, found[0]), n, line) for n, (line, found) in enumerate(self._waiting.items())
            )
            entries = self._waiting[line]
            if ends > self._limit + self._most / line.account.weight:
                del self._waiting[line]
                continue
            entry = entries.popleft()
            if not entries:
                del self._waiting[line]
            return entry
        return None

    def took(self, entry: Entry[T], tokens: int) -> None:
        """`tokens` of this entry are in the batch."""
        line = self._line_of(entry)
        self._taken[line] = self._taken.get(line, 0) + tokens

    def passed_over(self, entry: Entry[T]) -> None:
        """This entry waits for more than what it has in the batch."""
        self._limit = min(self._limit, self._ends(self._line_of(entry), entry))

    def _ends(self, line: Line[T], entry: Entry[T]) -> float:
        return line.tag + (self._taken.get(line, 0) + entry.tokens) / line.account.weight

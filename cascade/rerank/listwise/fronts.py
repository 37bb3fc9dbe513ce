"""The fronts of prompts that were read, so that a prompt that begins as another did is read from where they part."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from cascade.rerank.listwise.memory import Memory

_MOST = 4
"""Fronts of one request: what is sifted down a heap stands first in one list after the other, in both orders."""
_WORTH = 8
"""Tokens below which reading again costs no more than joining what is held to what is read."""


class Fronts:
    """Of one request: its own, the newest of them, and the instructions that all requests share. Nobody else's text."""

    def __init__(self, instructions: Memory | None = None) -> None:
        self._instructions = instructions
        self._recent: deque[Memory] = deque(maxlen=_MOST)

    def longest(self, ids: Sequence[int]) -> tuple[Memory | None, int]:
        """What holds the most of the first of `ids`, and how many."""
        known = [*self._recent, *([] if self._instructions is None else [self._instructions])]
        found = max(((one.shared(ids), one) for one in known), key=lambda pair: pair[0], default=None)
        return (None, 0) if found is None or found[0] < _WORTH else (found[1], found[0])

    def add(self, memory: Memory, end: int) -> None:
        """Hold the first `end` tokens of `memory`."""
        if self.longest(memory.ids[: end + 1])[1] < end:
            self._recent.append(memory.front(end))

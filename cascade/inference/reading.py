"""A model's layers and what is put on them: token sequences in, a result for each out, in shared batches."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from cascade.inference.rows import Lane
from cascade.inference.towers.strip import Strip, Tokens
from cascade.inference.towers.tower import States, Tower

S = TypeVar("S")
Head = Callable[[States, Strip], Sequence[S]]
"""Makes a result for every sequence of a strip, of its states."""
Observer = Callable[[int, int, float], None]
"""Told of every batch: sequences, tokens, seconds."""


class Reading(Generic[S]):
    """Runs one batch at a time, from any thread; with `same_bits` a result does not depend on the batch at all."""

    def __init__(self, tower: Tower, head: Head[S], observe: Observer, *, same_bits: bool = False) -> None:
        self.backend = tower.backend
        self._tower = tower
        self._head = head
        self._observe = observe
        self._same_bits = same_bits
        self._lanes: dict[int, Lane[Tokens, S]] = {}
        self._turn = threading.Lock()

    def lane(self, most_tokens: int) -> Lane[Tokens, S]:
        """Batches of at most so many tokens; the same lane for the same number."""
        return self._lanes.setdefault(most_tokens, Lane(self.run, most_tokens))

    def run(self, rows: Sequence[Tokens]) -> Sequence[S]:
        """A result for each, in order, as one batch."""
        strip = Strip.of(rows)
        with self._turn:
            start = time.perf_counter()
            states = self._tower.states(strip)
            found = self._put_on(states, strip, rows)
            self._observe(len(rows), len(strip.ids), time.perf_counter() - start)
        return found

    def _put_on(self, states: States, strip: Strip, rows: Sequence[Tokens]) -> Sequence[S]:
        """A head multiplies matrices too, and more rows are added in another order."""
        if not self._same_bits:
            return self._head(states, strip)
        parts = zip(strip.shown[:-1], strip.shown[1:], rows, strict=True)
        return [self._head(states[start:end], Strip.of([row]))[0] for start, end, row in parts]

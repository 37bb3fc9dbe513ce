"""Keeps account of what is shared: how many hold each thing, and since when nobody has held it."""

from __future__ import annotations

import time
import weakref
from collections import Counter, deque
from collections.abc import Iterable
from typing import Generic, TypeVar

from cascade.budget import Clock

T = TypeVar("T")


class Lending(Generic[T]):
    """A thing is lent until the last of its borrowers is garbage, so that none in use is ever idle.

    Not safe for several threads, but for borrowers: those may go away in any.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._holders: Counter[T] = Counter()
        self._idle_since: dict[T, float] = {}
        self._taken: weakref.WeakKeyDictionary[object, tuple[T, ...]] = weakref.WeakKeyDictionary()
        # A borrower may be collected while this very object is at work, so that its end is only noted.
        self._returned: deque[tuple[T, ...]] = deque()

    def touch(self, thing: T) -> None:
        """Somebody asked for `thing` without borrowing it: if nobody holds it, it is idle from now on."""
        if not self._holders[thing]:
            self._idle_since[thing] = self._clock()

    def lend(self, things: Iterable[T], borrower: object) -> None:
        """`borrower` holds `things` for as long as it lives."""
        taken = tuple(things)
        self._taken[borrower] = taken
        for thing in taken:
            self._holders[thing] += 1
            self._idle_since.pop(thing, None)
        weakref.finalize(borrower, self._returned.append, taken).atexit = False

    def taken(self, borrower: object) -> tuple[T, ...]:
        """What `borrower` holds."""
        return self._taken.get(borrower, ())

    def idle(self, seconds: float) -> list[T]:
        """Everything that nobody has held or asked for in the last `seconds`."""
        now = self._clock()
        while self._returned:
            for thing in self._returned.popleft():
                self._holders[thing] -= 1
                if not self._holders[thing]:
                    self._idle_since[thing] = now
        return [thing for thing, since in self._idle_since.items() if now - since >= seconds]

    def forget(self, thing: T) -> None:
        """`thing` is no more."""
        self._idle_since.pop(thing, None)
        del self._holders[thing]

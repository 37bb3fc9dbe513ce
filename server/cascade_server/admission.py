"""Who may start work now: a bounded number of permits, refused at once when none is left."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cascade.errors import OverloadedError
from cascade_server.errors import UnavailableError

_SHORTEST_RETRY = 0.05
_SMOOTHING = 0.1


@dataclass(frozen=True, slots=True)
class Permit:
    """Proof of admission, which ranking asks for as an argument, so that nothing runs that was not admitted."""

    number: int


class Admission:
    """At most `limit` permits are out at a time, and none before `open()`; nobody waits for one."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._issued = 0
        self._open = False
        self._typical_seconds = _SHORTEST_RETRY

    def open(self) -> None:
        """Admit requests from now on."""
        self._open = True

    @contextmanager
    def admit(self) -> Iterator[Permit]:
        """A permit for the length of the block. Raises OverloadedError or UnavailableError, without waiting."""
        if not self._open:
            raise UnavailableError("starting")
        if self._taken >= self._limit:
            raise OverloadedError("the server", max(_SHORTEST_RETRY, self._typical_seconds / self._limit))
        self._taken += 1
        self._issued += 1
        started = time.monotonic()
        try:
            yield Permit(self._issued)
        finally:
            self._taken -= 1
            self._typical_seconds += _SMOOTHING * (time.monotonic() - started - self._typical_seconds)

"""How many retries a client may make in all, so that a server in trouble is not met by several times its usual load."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class RetryBudget:
    """A bucket of at most `most` retries, full at first; every call adds `share` of one and every second `per_second`.

    In any time there are at most `most + share * calls + per_second * seconds` retries, whatever each call is allowed:
    with three retries for each and no more to it, a server that fails all calls gets four times as many. That is the
    practice of Google's SREs (Site Reliability Engineering, ch. 21, "Handling Overload": 10 % of a client's requests)
    and of Finagle's RetryBudget, which has the floor by time too, for clients that seldom call. Several clients of a
    program may share one; its methods may be called from any thread.
    """

    def __init__(
        self,
        share: float = 0.1,
        *,
        most: float = 10.0,
        per_second: float = 0.5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not (0.0 <= share <= 1.0 and most >= 0.0 and per_second >= 0.0):
            found = f"share {share}, most {most}, per_second {per_second}"
            raise ValueError(f"found {found}, expected a share from 0 to 1 and the others not below 0")
        self._share = share
        self._most = most
        self._per_second = per_second
        self._clock = clock
        self._held = most
        self._since = clock()
        self._lock = threading.Lock()

    def called(self) -> None:
        """A call begins."""
        with self._lock:
            self._refill(self._share)

    def take(self) -> bool:
        """Take one retry; False when there is none, and the call's error is its outcome."""
        with self._lock:
            self._refill(0.0)
            if self._held < 1.0:
                return False
            self._held -= 1.0
            return True

    def _refill(self, more: float) -> None:
        now = self._clock()
        self._held = min(self._most, self._held + more + self._per_second * (now - self._since))
        self._since = now

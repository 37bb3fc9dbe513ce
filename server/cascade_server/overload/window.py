"""A quota's rate as a window that counts tokens: pure arithmetic, no clock and no store."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cascade_server.control.state import Quota

_BURST_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Counted:
    """A sliding window's two counters: tokens of the `previous` and of the `current` stretch.

    The previous one fades until the next stretch begins, in `fades_in` seconds.
    """

    previous: int
    current: int
    fades_in: float


@dataclass(frozen=True, slots=True)
class Full:
    """There is no room: with what was asked for the window would hold `tokens`, and there will be in `wait` seconds."""

    tokens: float
    wait: float


@dataclass(frozen=True, slots=True)
class Window:
    """At most `tokens` in `seconds`: the quota's rate, with its burst rounded up to whole seconds of that rate."""

    tokens: int
    seconds: int

    @staticmethod
    def of(quota: Quota) -> Window | None:
        """None for a quota without a rate."""
        rate = quota.tokens_per_second
        if not rate:
            return None
        burst = quota.burst_tokens or _BURST_SECONDS * rate
        seconds = max(1, math.ceil(max(burst, 1) / rate - 1e-9))
        return Window(max(1, round(rate * seconds)), seconds)

    def full(self, counted: Counted, tokens: int) -> Full:
        """What `tokens` more would make of it, and how long until they fit if nothing else comes.

        A sliding window counts the current stretch and what has not yet faded of the previous one. More than the window
        holds never fits.
        """
        fading = counted.previous * counted.fades_in / self.seconds
        return Full(fading + counted.current + tokens, self._wait(counted, fading, self.tokens - tokens))

    def _wait(self, counted: Counted, fading: float, room: int) -> float:
        if room < 0:
            return math.inf
        if fading + counted.current <= room:
            return 0.0
        if counted.current <= room:
            return (fading + counted.current - room) * self.seconds / counted.previous
        return counted.fades_in + self.seconds * (counted.current - room) / counted.current

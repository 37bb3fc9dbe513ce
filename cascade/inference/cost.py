"""How long a model's work takes, learnt from the work it did."""

from __future__ import annotations

import statistics
import threading
import time
from collections import deque
from collections.abc import Sequence

from cascade.budget import Clock

CHARS_PER_TOKEN = 4.0
_MEMORY_SECONDS = 60.0
"""Old observations are forgotten: after a slow spell a tier that is always skipped would never be measured again."""


class CostEstimate:
    """Seconds per token over the last batches, from any thread."""

    def __init__(self, *, clock: Clock = time.monotonic, window: int = 16) -> None:
        self._clock = clock
        self._rates: deque[tuple[float, float]] = deque(maxlen=window)
        self._lock = threading.Lock()

    def observe(self, tokens: int, seconds: float) -> None:
        """A batch of `tokens` took `seconds`."""
        if tokens > 0:
            with self._lock:
                self._rates.append((self._clock(), seconds / tokens))

    def forget(self) -> None:
        """What was observed so far is no measure."""
        with self._lock:
            self._rates.clear()

    def seconds(self, tokens: float) -> float:
        """What `tokens` would take; 0 while nothing recent is known, so that the tier is tried."""
        since = self._clock() - _MEMORY_SECONDS
        with self._lock:
            recent = [rate for seen, rate in self._rates if seen >= since]
        return statistics.median(recent) * tokens if recent else 0.0


def approximate_tokens(texts: Sequence[str | None], *, most: int) -> float:
    """Tokens of `texts` by their length, each cut at `most`: an estimate that needs no tokenizer."""
    return sum(min(most, len(text or "") / CHARS_PER_TOKEN + 1) for text in texts)

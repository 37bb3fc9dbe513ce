"""How much may wait for a model, and how far forecasts for it hold, found by how long the work that was let in took."""

from __future__ import annotations

import math

_TOLERANCE = 2.0
_QUEUE = 3.0
_LEAST = 2.0
_MOST = 1000.0
_START = 20.0
_SMOOTHING = 0.2
_MEMORY = 0.02
_FORGET = 0.1
_LEAST_PACE, _MOST_PACE = 0.5, 4.0


class GradientLimit:
    """Tokens that may be ahead of a request at one model; pure arithmetic, fed with what requests measured.

    The gradient of concurrency-limits (Netflix, Gradient2Limit): the limit is multiplied by the time that work takes
    by itself over the time that it took, waiting included, as far as that is below `tolerance`; and some requests'
    worth is added to it, so that it grows until waiting shows. What work takes by itself is known here from the tokens
    and the model's rate, where the original has an average of the past, which creeps up under lasting overload.

    A request's worth is E[n^2] / E[n] for sizes n, what is found in service on average: by the plain mean, small
    requests beside large ones would be refused.
    """

    def __init__(self, *, tolerance: float = _TOLERANCE, queue: float = _QUEUE, smoothing: float = _SMOOTHING) -> None:
        """`queue` is how many requests' worth may wait in any case, `smoothing` the weight of the newest."""
        self._tolerance = tolerance
        self._queue = queue
        self._smoothing = smoothing
        self._mean = 0.0
        self._squares = 0.0
        self._requests = _START

    @property
    def tokens(self) -> float:
        """The limit; infinity before anything was measured."""
        return self._requests * self._worth if self._mean else math.inf

    def observe(self, tokens: float, alone: float, took: float, ahead: float) -> None:
        """Work of `tokens` takes `alone` seconds by itself and `took` so many, with `ahead` before it when it came."""
        if tokens <= 0 or alone <= 0:
            return
        weight = _MEMORY if self._mean else 1.0
        self._mean += weight * (tokens - self._mean)
        self._squares += weight * (tokens * tokens - self._squares)
        gradient = min(1.0, max(0.5, self._tolerance * alone / took)) if took > 0 else 1.0
        # A limit that nothing came near is not confirmed by work that did not have to wait.
        if gradient == 1.0 and ahead < self.tokens / 2:
            return
        target = self._requests * gradient + self._queue
        self._requests = min(_MOST, max(_LEAST, self._requests + self._smoothing * (target - self._requests)))

    @property
    def _worth(self) -> float:
        return self._squares / self._mean


class Pace:
    """How long stages at one model took over what was foretold for them, a mean in which the newest count most."""

    def __init__(self) -> None:
        self._foretold = 0.0
        self._took = 0.0

    @property
    def factor(self) -> float:
        """1 before anything was measured."""
        return min(_MOST_PACE, max(_LEAST_PACE, self._took / self._foretold)) if self._foretold > 0 else 1.0

    def observe(self, foretold: float, took: float) -> None:
        """What was foretold to take so many seconds, by the model's rate alone, took so many."""
        if foretold > 0:
            self._foretold += foretold - _FORGET * self._foretold
            self._took += took - _FORGET * self._took

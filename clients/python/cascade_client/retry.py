"""Whether and when a failed call is tried again: pure decisions under one deadline."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from cascade_client.errors import AbortedError, ClientError, OverloadedError, UnavailableError
from cascade_client.retry_budget import RetryBudget

_LONGEST = 1e9  # seconds
_MOST_DOUBLINGS = 64  # beyond any longest pause, and within what a float holds


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """At most `retries` further tries, after pauses (seconds) that double from `first_pause` to `longest_pause`."""

    retries: int = 3
    first_pause: float = 0.1
    longest_pause: float = 5.0

    def pause(self, error: ClientError, *, tries: int, left: float, idempotent: bool, jitter: float) -> float | None:
        """Seconds to wait before the next try after `tries` failed ones, or None when there must be none.

        `left` is the time to the deadline, `jitter` a random number in [0, 1). A pause is at least what the
        server's RetryInfo asks for, and always ends before the deadline.
        """
        if tries > self.retries or not is_retryable(error, idempotent=idempotent):
            return None
        ceiling = min(self.longest_pause, self.first_pause * 2.0 ** min(tries - 1, _MOST_DOUBLINGS))
        asked = error.retry_after if isinstance(error, OverloadedError) else error.details.retry_after or 0.0
        pause = asked + ceiling * jitter
        return pause if pause < left else None


def is_retryable(error: ClientError, *, idempotent: bool) -> bool:
    """Whether trying again can help and cannot do harm.

    Overloaded and aborted calls changed nothing. An unavailable server may have done its work before the
    connection broke, so that a call which is not idempotent is tried again only if the server itself refused it
    with a RetryInfo.
    """
    if isinstance(error, OverloadedError | AbortedError):
        return True
    return isinstance(error, UnavailableError) and (idempotent or error.details.retry_after is not None)


@dataclass(slots=True)
class Attempts:
    """The tries of one call, all of them under one deadline on `clock`."""

    policy: RetryPolicy
    deadline: float
    idempotent: bool
    budget: RetryBudget = field(default_factory=RetryBudget)
    clock: Callable[[], float] = time.monotonic
    jitter: Callable[[], float] = random.random
    tries: int = field(default=0, init=False)

    @property
    def left(self) -> float:
        """Seconds to the deadline, never below zero; infinity without one."""
        return max(0.0, self.deadline - self.clock())

    @property
    def timeout(self) -> float | None:
        """The time that the next try may take, in the form gRPC takes; none for decades, which it cannot count."""
        return self.left if self.left < _LONGEST else None

    def pause_after(self, error: ClientError) -> float | None:
        """Count a failed try; seconds to wait before the next one, or None when `error` is the outcome.

        The next try is paid for by the client's budget of retries, and is not made when that is spent.
        """
        self.tries += 1
        pause = self.policy.pause(
            error, tries=self.tries, left=self.left, idempotent=self.idempotent, jitter=self.jitter()
        )
        return pause if pause is not None and self.budget.take() else None

"""What became of a request."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Outcome(StrEnum):
    """How a request ended; CHEAPER is an answer by the plan of a busy server, DEGRADED one that time or errors cut."""

    ANSWERED = "answered"
    CHEAPER = "cheaper"
    DEGRADED = "degraded"
    REFUSED = "refused"
    EXPIRED = "expired"
    FAILED = "failed"
    UNSENT = "unsent"


GOOD = frozenset({Outcome.ANSWERED, Outcome.CHEAPER})
ANSWERS = GOOD | {Outcome.DEGRADED}


class Reply(NamedTuple):
    """One request; `intended`, `sent` and `done` are seconds of the machine's monotonic clock.

    `reason` is the server's word for a refusal, a failure or what is degraded, `tokens` what models read for an answer
    and `queued` the seconds that it waited for them; `cascade`, `version` and `config_hash` say what answered.
    """

    flow: str
    target: str
    intended: float
    sent: float
    done: float
    outcome: Outcome
    reason: str = ""
    cascade: str = ""
    version: int = 0
    config_hash: str = ""
    tokens: int = 0
    queued: float = 0.0

    @property
    def latency(self) -> float:
        """Seconds from when it should have been sent: what a user waited, also for a generator that was late."""
        return self.done - self.intended

    @property
    def delay(self) -> float:
        """Seconds by which the generator was late."""
        return self.sent - self.intended

    @property
    def answer(self) -> bool:
        """Whether there was a ranking, degraded or not."""
        return self.outcome in ANSWERS

    @property
    def good(self) -> bool:
        """Whether there was the ranking that the cascade asks for, in full or by a cheaper plan that it allows."""
        return self.outcome in GOOD

"""What every stage did with a request, so that the answer alone explains itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class StageStatus(StrEnum):
    """How a stage ended; everything but `completed` degrades the answer."""

    COMPLETED = "completed"
    SKIPPED = "skipped"
    TIMED_OUT = "timed_out"
    FAILED = "failed"
    REDUCED = "reduced"


class Reason(StrEnum):
    """Why a stage did not complete: a bounded set, fit for a metric label."""

    NONE = ""
    NO_TIME = "no_time"
    TOO_COSTLY = "too_costly"
    OVERRAN = "overran"
    OVERLOADED = "overloaded"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class StageTrace:
    """One stage's account: times in seconds, `detail` a sentence for a person, empty when all went well.

    `scored` counts the candidates that were given a score, fewer than `candidates_in` where a tier stopped early;
    `repairs` the documents that a listwise output had left out, doubled or invented; `cost` is money, None
    without a price; `cached` counts what was remembered instead of computed; `backend` is what ran the model.
    """

    stage: str
    kind: str
    status: StageStatus
    reason: Reason = Reason.NONE
    detail: str = ""
    candidates_in: int = 0
    candidates_out: int = 0
    queue_time: float = 0.0
    run_time: float = 0.0
    model: str = ""
    tokens: int = 0
    truncated: int = 0
    scored: int = 0
    repairs: int = 0
    cost: float | None = None
    cached: int = 0
    backend: str = ""


def degraded(trace: Iterable[StageTrace]) -> bool:
    """Whether any stage did less than the cascade asks for."""
    return any(stage.status is not StageStatus.COMPLETED for stage in trace)

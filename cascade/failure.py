"""What a stage's failure means for its trace, and for a request that is left without a ranking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import structlog

from cascade.errors import BudgetExceededError, CascadeError, OverloadedError, StageError
from cascade.trace import Reason, StageStatus, StageTrace

log = structlog.get_logger()


def not_completed(trace: StageTrace, error: BaseException) -> StageTrace:
    """The trace of a stage that raised `error` after `trace.run_time` seconds."""
    if isinstance(error, TimeoutError):
        detail = f"ran out of its time after {trace.run_time * 1e3:.1f} ms"
        return replace(trace, status=StageStatus.TIMED_OUT, reason=Reason.OVERRAN, detail=detail)
    if isinstance(error, OverloadedError):
        return replace(trace, status=StageStatus.SKIPPED, reason=Reason.OVERLOADED, detail=str(error))
    log.warning("stage_failed", stage=trace.stage, kind=trace.kind, exc_info=error)
    return replace(trace, status=StageStatus.FAILED, reason=Reason.ERROR, detail=_sentence(error))


def cut_short(trace: StageTrace, detail: str) -> StageTrace:
    """The trace of a stage that ran out of time and whose order so far is used all the same."""
    return replace(trace, status=StageStatus.TIMED_OUT, reason=Reason.OVERRAN, detail=detail)


def reduced(trace: StageTrace, wanted: int) -> StageTrace:
    """The trace of a stage that was given fewer than the `wanted` candidates, the server being too busy for all."""
    detail = f"the server was busy: ran over {trace.candidates_in} of {wanted} candidates"
    return replace(trace, status=StageStatus.REDUCED, reason=Reason.OVERLOADED, detail=detail)


def no_ranking(stage: str, errors: Sequence[BaseException]) -> CascadeError:
    """The error that says best why no retriever has a ranking: one that names its cause before a mere timeout."""
    for error in errors:
        if isinstance(error, CascadeError):
            return error
    for error in errors:
        if not isinstance(error, TimeoutError):
            return StageError(stage, _sentence(error))
    return BudgetExceededError(stage)


def _sentence(error: BaseException) -> str:
    return str(error) if isinstance(error, CascadeError) else f"{type(error).__name__}: {error}"

"""What commands print as JSON; an answer looks the same from a server and from this process."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cascade_client import Change, IndexInfo, Ranked, Result, StageTrace


def answer(query: str, ranked: Ranked, *, text: bool, explain: bool) -> dict[str, Any]:
    """An answer: results, the trace, whether it is degraded, and what produced it."""
    return {
        "query": query,
        "cascade": ranked.provenance.cascade,
        "results": [_result(result, text=text, explain=explain) for result in ranked.results],
        "trace": [_stage_trace(stage) for stage in ranked.trace],
        "degraded": ranked.degraded,
        "provenance": asdict(ranked.provenance),
        "truncations": [asdict(truncation) for truncation in ranked.truncations],
    }


def index(info: IndexInfo) -> dict[str, Any]:
    """An index; its time in ISO 8601."""
    return {**asdict(info), "updated_at": info.updated_at.isoformat()}


def change(made: Change) -> dict[str, Any]:
    """What a call changed, and the index since."""
    return {"added": made.added, "replaced": made.replaced, "deleted": made.deleted, "index": index(made.index)}


def _result(result: Result, *, text: bool, explain: bool) -> dict[str, Any]:
    shape: dict[str, Any] = {"doc_id": result.doc_id}
    if result.position is not None:
        shape["position"] = result.position
    shape |= {"rank": result.rank, "score": result.score, "scored_by": result.scored_by}
    if result.probability is not None:
        shape["probability"] = result.probability
    if text:
        shape |= {"title": result.title, "text": result.text}
    if explain:
        shape["stages"] = [asdict(stage) for stage in result.stages]
    return shape


def _stage_trace(stage: StageTrace) -> dict[str, Any]:
    return {
        "stage": stage.stage,
        "kind": stage.kind,
        "status": stage.status.value,
        "reason": stage.reason,
        "detail": stage.detail,
        "candidates_in": stage.candidates_in,
        "candidates_out": stage.candidates_out,
        "queue_seconds": stage.queue_time,
        "run_seconds": stage.run_time,
        "model": stage.model,
        "tokens": stage.tokens,
        "truncated": stage.truncated,
        "scored": stage.scored,
        "repairs": stage.repairs,
        "cost": stage.cost,
    }

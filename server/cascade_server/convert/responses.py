"""The engine's answers as the wire's messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from weakref import WeakKeyDictionary

from google.protobuf import duration_pb2

from cascade.answer import Answer
from cascade.config import CascadeConfig
from cascade.engine import Cascade
from cascade.trace import StageStatus, StageTrace
from cascade.types import Ranking
from cascade_api.v1 import ranking_pb2, trace_pb2
from cascade_server.convert.requests import RankQuery
from cascade_server.rollout.serving import Chosen

_STATUS: dict[StageStatus, trace_pb2.StageStatus.ValueType] = {
    StageStatus.COMPLETED: trace_pb2.STAGE_STATUS_COMPLETED,
    StageStatus.SKIPPED: trace_pb2.STAGE_STATUS_SKIPPED,
    StageStatus.TIMED_OUT: trace_pb2.STAGE_STATUS_TIMED_OUT,
    StageStatus.FAILED: trace_pb2.STAGE_STATUS_FAILED,
    StageStatus.REDUCED: trace_pb2.STAGE_STATUS_REDUCED,
}


class _Facts(NamedTuple):
    """What every answer of a cascade says of it."""

    config_hash: str
    models: dict[str, str]
    place: dict[str, int]


# Of the cascade and not of its configuration, which is compared and hashed by all that it says.
_facts: WeakKeyDictionary[Cascade, _Facts] = WeakKeyDictionary()


def rank_response(answer: Answer, asked: RankQuery, chosen: Chosen, index_version: str) -> ranking_pb2.RankResponse:
    """What was asked for of `answer`, with its stages in the order of the cascade, however they ended."""
    facts = _facts_of(chosen.cascade)
    in_order = sorted(answer.trace, key=lambda t: facts.place[t.stage])
    rankings = {name: answer.stages[name] for name in facts.place if name in answer.stages} if asked.explain else {}
    wanted = set(answer.ranking.doc_ids)
    scores = _stage_scores(rankings, wanted) if asked.explain else {}
    positions = {document.doc_id: i for i, document in enumerate(asked.documents) if document.doc_id in wanted}

    response = ranking_pb2.RankResponse(
        trace=[_stage_trace(t) for t in in_order],
        degraded=answer.degraded,
        provenance=ranking_pb2.Provenance(
            cascade=asked.cascade,
            config_hash=facts.config_hash,
            models=facts.models,
            index_version=index_version,
            cascade_version=chosen.version,
            canary=chosen.canary,
        ),
        truncations=[
            trace_pb2.Truncation(doc_id=t.doc_id, stage=t.stage, tokens_seen=t.tokens_seen, tokens_total=t.tokens_total)
            for t in answer.truncations
        ],
    )
    add = response.results.add
    for candidate in answer.ranking:
        doc_id = candidate.doc_id
        # Only what is there, of which every field takes its time.
        result = add(doc_id=doc_id, rank=candidate.rank, score=candidate.score, scored_by=candidate.scored_by)
        if (position := positions.get(doc_id)) is not None:
            result.position = position
        if candidate.probability is not None:
            result.probability = candidate.probability
        if asked.include_text and (document := answer.documents.get(doc_id)) is not None:
            result.title, result.text = document.title, document.text
        if doc_id in scores:
            result.stages.extend(scores[doc_id])
    return response


def stage_models(config: CascadeConfig) -> dict[str, str]:
    """The model of every stage that has one, by the stage's name."""
    retrieved = {stage.name: stage.model for stage in config.retrieve}
    models = retrieved | {tier.name: tier.model_in_use for tier in config.tiers}
    return {name: model for name, model in models.items() if model}


def _facts_of(cascade: Cascade) -> _Facts:
    found = _facts.get(cascade)
    if found is None:
        config = cascade.config
        place = {name: i for i, name in enumerate(config.stage_names)}
        found = _facts[cascade] = _Facts(config.config_hash, stage_models(config), place)
    return found


def _stage_scores(rankings: Mapping[str, Ranking], wanted: Iterable[str]) -> dict[str, list[ranking_pb2.StageScore]]:
    """Where each wanted document stood after every stage that ranked it."""
    scores: dict[str, list[ranking_pb2.StageScore]] = {doc_id: [] for doc_id in wanted}
    for name, ranking in rankings.items():
        for c in ranking:
            if c.doc_id in scores:
                score = ranking_pb2.StageScore(stage=name, rank=c.rank, score=c.score, model_score=c.model_score)
                scores[c.doc_id].append(score)
    return scores


def _stage_trace(trace: StageTrace) -> trace_pb2.StageTrace:
    return trace_pb2.StageTrace(
        stage=trace.stage,
        kind=trace.kind,
        status=_STATUS[trace.status],
        reason=trace.reason.value,
        detail=trace.detail,
        candidates_in=trace.candidates_in,
        candidates_out=trace.candidates_out,
        queue_time=_duration(trace.queue_time),
        run_time=_duration(trace.run_time),
        model=trace.model,
        tokens=trace.tokens,
        truncated=trace.truncated,
        scored=trace.scored,
        repairs=trace.repairs,
        cached=trace.cached,
        backend=trace.backend,
        cost=trace.cost,
    )


def _duration(seconds: float) -> duration_pb2.Duration:
    whole, nanos = divmod(round(seconds * 1e9), 1_000_000_000)
    return duration_pb2.Duration(seconds=whole, nanos=nanos)

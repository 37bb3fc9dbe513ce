"""From messages to the client's values."""

from __future__ import annotations

from datetime import UTC

from grpc_health.v1 import health_pb2

from cascade_api.v1 import index_pb2, quota_pb2, ranking_pb2, server_pb2, trace_pb2
from cascade_client.types import (
    CascadeInfo,
    Change,
    Health,
    IndexInfo,
    Limits,
    ModelInfo,
    Priority,
    Provenance,
    Quota,
    Ranked,
    Result,
    ServerInfo,
    StageInfo,
    StageScore,
    StageStatus,
    StageTrace,
    Truncation,
    Update,
)

_STATUSES = {
    trace_pb2.STAGE_STATUS_COMPLETED: StageStatus.COMPLETED,
    trace_pb2.STAGE_STATUS_SKIPPED: StageStatus.SKIPPED,
    trace_pb2.STAGE_STATUS_TIMED_OUT: StageStatus.TIMED_OUT,
    trace_pb2.STAGE_STATUS_FAILED: StageStatus.FAILED,
    trace_pb2.STAGE_STATUS_REDUCED: StageStatus.REDUCED,
}
_PRIORITIES = {
    quota_pb2.PRIORITY_HIGH: Priority.HIGH,
    quota_pb2.PRIORITY_NORMAL: Priority.NORMAL,
    quota_pb2.PRIORITY_LOW: Priority.LOW,
}
_HEALTH = {
    health_pb2.HealthCheckResponse.SERVING: Health.SERVING,
    health_pb2.HealthCheckResponse.NOT_SERVING: Health.NOT_SERVING,
}


def ranked(message: ranking_pb2.RankResponse) -> Ranked:
    """An answer."""
    made = message.provenance
    return Ranked(
        results=tuple(_result(r) for r in message.results),
        trace=tuple(_stage_trace(t) for t in message.trace),
        degraded=message.degraded,
        provenance=Provenance(
            made.cascade,
            made.config_hash,
            dict(made.models),
            made.index_version,
            made.cascade_version,
            made.canary,
        ),
        truncations=tuple(Truncation(t.doc_id, t.stage, t.tokens_seen, t.tokens_total) for t in message.truncations),
    )


def update(message: ranking_pb2.RankStreamResponse) -> Update:
    """An answer as it stands after one stage."""
    return Update(message.stage, message.final, ranked(message.response))


def index_info(message: index_pb2.Index) -> IndexInfo:
    """An index."""
    return IndexInfo(
        name=message.name,
        version=message.version,
        documents=message.documents,
        encoder=message.encoder,
        dimensions=message.dimensions,
        vector_search=message.vector_search,
        vector_recall=message.vector_recall,
        updated_at=message.updated_at.ToDatetime(tzinfo=UTC),
        problem=message.problem,
        token_vectors=message.token_vectors,
        token_vector_bytes_per_document=message.token_vector_bytes_per_document,
        token_id_bytes_per_document=message.token_id_bytes_per_document,
    )


def index_infos(message: index_pb2.ListIndexesResponse) -> tuple[IndexInfo, ...]:
    """Several indexes."""
    return tuple(index_info(index) for index in message.indexes)


def upserted(message: index_pb2.UpsertDocumentsResponse) -> Change:
    """What an upsert did."""
    return Change(index_info(message.index), added=message.added, replaced=message.replaced)


def deleted(message: index_pb2.DeleteDocumentsResponse) -> Change:
    """What a delete did."""
    return Change(index_info(message.index), deleted=message.deleted)


def server_info(message: server_pb2.GetInfoResponse) -> ServerInfo:
    """What a server offers."""
    limits = message.limits
    return ServerInfo(
        version=message.version,
        tenant=message.tenant,
        cascades=tuple(
            CascadeInfo(
                c.name,
                c.description,
                c.config_hash,
                tuple(StageInfo(s.name, s.kind, s.depth, s.model) for s in c.stages),
                c.version,
            )
            for c in message.cascades
        ),
        models=tuple(ModelInfo(m.model, m.kind, m.ready, m.problem, m.backend) for m in message.models),
        limits=Limits(
            limits.max_message_bytes,
            limits.max_top_k,
            limits.max_documents,
            limits.max_query_chars,
            limits.max_document_chars,
            limits.max_concurrent_requests,
        ),
        quota=quota(message.quota),
    )


def quota(message: quota_pb2.Quota) -> Quota:
    """What a tenant may use; numbers that are 0 on the wire set no limit."""
    return Quota(
        tokens_per_second=message.tokens_per_second or None,
        burst_tokens=message.burst_tokens or None,
        max_concurrent_requests=message.max_concurrent_requests or None,
        max_depth=message.max_depth or None,
        max_documents=message.max_documents or None,
        max_request_tokens=message.max_request_tokens or None,
        priority=_PRIORITIES.get(message.priority, Priority.NORMAL),
        weight=message.weight or 1.0,
    )


def health(message: health_pb2.HealthCheckResponse) -> Health:
    """Whether a service answers."""
    return _HEALTH.get(message.status, Health.UNKNOWN)


def _result(message: ranking_pb2.Result) -> Result:
    return Result(
        doc_id=message.doc_id,
        rank=message.rank,
        score=message.score,
        scored_by=message.scored_by,
        position=message.position if message.HasField("position") else None,
        title=message.title,
        text=message.text,
        stages=tuple(
            StageScore(s.stage, s.rank, s.score, s.model_score if s.HasField("model_score") else None)
            for s in message.stages
        ),
        probability=message.probability if message.HasField("probability") else None,
    )


def _stage_trace(message: trace_pb2.StageTrace) -> StageTrace:
    return StageTrace(
        stage=message.stage,
        kind=message.kind,
        status=_STATUSES.get(message.status, StageStatus.UNKNOWN),
        reason=message.reason,
        detail=message.detail,
        candidates_in=message.candidates_in,
        candidates_out=message.candidates_out,
        queue_time=message.queue_time.ToNanoseconds() / 1e9,
        run_time=message.run_time.ToNanoseconds() / 1e9,
        model=message.model,
        tokens=message.tokens,
        truncated=message.truncated,
        scored=message.scored,
        repairs=message.repairs,
        cached=message.cached,
        backend=message.backend,
        cost=message.cost if message.HasField("cost") else None,
    )

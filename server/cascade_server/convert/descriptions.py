"""What the server has - indexes, cascades, models, limits - as the wire's messages."""

from __future__ import annotations

from google.protobuf import timestamp_pb2

from cascade.engine import Cascade
from cascade.index import IndexInfo
from cascade.inference.model import ModelStatus
from cascade_api.v1 import index_pb2, server_pb2
from cascade_server.convert.responses import stage_models
from cascade_server.settings import Settings


def index_message(info: IndexInfo) -> index_pb2.Index:
    """An index and what was measured of it."""
    updated_at = timestamp_pb2.Timestamp()
    updated_at.FromDatetime(info.updated_at)
    return index_pb2.Index(
        name=info.name,
        version=info.version,
        documents=info.documents,
        encoder=info.encoder,
        dimensions=info.dimensions,
        vector_search=info.vector_search,
        vector_recall=info.vector_recall,
        updated_at=updated_at,
        problem=info.problem,
        token_vectors=info.token_vectors,
        token_vector_bytes_per_document=info.token_vector_bytes_per_document,
        token_id_bytes_per_document=info.token_id_bytes_per_document,
    )


def cascade_message(cascade: Cascade, version: int) -> server_pb2.CascadeInfo:
    """A cascade's active version with its stages in the order they run; it is 0 for one that is not from the store."""
    config = cascade.config
    models = stage_models(config)
    return server_pb2.CascadeInfo(
        name=cascade.name,
        description=config.description,
        config_hash=config.config_hash,
        stages=[
            server_pb2.StageInfo(name=s.name, kind=s.kind, depth=s.depth, model=models.get(s.name, ""))
            for s in (*config.retrieve, config.fuse, *config.tiers)
        ],
        version=version,
    )


def model_message(status: ModelStatus) -> server_pb2.ModelInfo:
    """A model and whether it answers."""
    return server_pb2.ModelInfo(
        model=status.model, kind=status.kind, ready=status.ready, problem=status.problem, backend=status.backend
    )


def limits_message(settings: Settings) -> server_pb2.Limits:
    """What a request may ask for."""
    return server_pb2.Limits(
        max_message_bytes=settings.max_message_bytes,
        max_top_k=settings.max_top_k,
        max_documents=settings.max_documents,
        max_query_chars=settings.max_query_chars,
        max_document_chars=settings.max_document_chars,
        max_concurrent_requests=settings.max_concurrent_requests,
    )

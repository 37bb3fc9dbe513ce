"""Every call of the contract, described once for both transports: method, request and how to read the answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Generic, TypeVar, Unpack

from google.protobuf.message import Message
from grpc_health.v1 import health_pb2

from cascade_api.v1 import index_pb2, ranking_pb2, server_pb2
from cascade_client import decode, encode
from cascade_client.options import RankOptions
from cascade_client.types import Change, Health, IndexInfo, Ranked, ServerInfo, Update

T = TypeVar("T")
DEFAULT_CASCADE = "fast"
DEFAULT_TOP_K = 10


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One call: `method` is gRPC's path, `parse` and `read` take its answer from bytes to a value.

    `idempotent` calls can be made twice and mean the same.
    """

    method: str
    request: Message
    parse: Callable[[bytes], Any]
    read: Callable[[Any], T]
    idempotent: bool = True


def rank_request(query: str, options: RankOptions) -> ranking_pb2.RankRequest:
    """The request for a ranking. Raises InvalidArgumentError for values that it cannot hold."""
    message = ranking_pb2.RankRequest()
    encode.assign(
        message,
        query=query,
        cascade=options.get("cascade", DEFAULT_CASCADE),
        index=options.get("index") or "",
        top_k=options.get("top_k", DEFAULT_TOP_K),
        include_text=options.get("include_text", False),
        explain=options.get("explain", False),
        sticky_key=options.get("sticky_key", ""),
    )
    message.documents.extend(encode.documents(options.get("documents") or ()))
    where, budget = options.get("where"), options.get("budget")
    if where is not None:
        message.filter.CopyFrom(encode.condition(where))
    least = options.get("min_probability")
    if least is not None:
        encode.assign(message, min_probability=least)
    if budget is not None:
        message.budget.CopyFrom(encode.duration(budget, "budget"))
    return message


def rank(query: str, **options: Unpack[RankOptions]) -> Call[Ranked]:
    """Rank once."""
    return described(ranking_pb2, "RankingService", "Rank", rank_request(query, options), decode.ranked)


def rank_stream(query: str, **options: Unpack[RankOptions]) -> Call[Update]:
    """Rank, answering after every stage."""
    request = ranking_pb2.RankStreamRequest(request=rank_request(query, options))
    return described(ranking_pb2, "RankingService", "RankStream", request, decode.update)


def create_index(name: str, encoder: str, token_vectors: str) -> Call[IndexInfo]:
    """Create an empty index."""
    request = index_pb2.CreateIndexRequest()
    encode.assign(request, name=name, encoder=encoder, token_vectors=token_vectors)
    return _index("CreateIndex", request, _index_of, idempotent=False)


def upsert(index: str) -> Call[Change]:
    """Add and replace documents; the request is the first message's beginning."""
    request = index_pb2.UpsertDocumentsRequest()
    encode.assign(request, index=index)
    return _index("UpsertDocuments", request, decode.upserted)


def delete_request(index: str, doc_ids: Sequence[str]) -> index_pb2.DeleteDocumentsRequest:
    """The request to delete documents. Raises InvalidArgumentError for values that it cannot hold."""
    request = index_pb2.DeleteDocumentsRequest()
    encode.assign(request, index=index)
    if isinstance(doc_ids, str):
        raise encode.refuse("doc_ids", "found one text, expected a list of them")
    for position, doc_id in enumerate(doc_ids):
        with encode.fits(f"doc_ids[{position}]"):
            request.doc_ids.append(doc_id)
    return request


def delete(index: str, doc_ids: Sequence[str]) -> Call[Change]:
    """Delete documents."""
    return _index("DeleteDocuments", delete_request(index, doc_ids), decode.deleted)


def get_index(name: str) -> Call[IndexInfo]:
    """Describe one index."""
    request = index_pb2.GetIndexRequest()
    encode.assign(request, name=name)
    return _index("GetIndex", request, _index_of)


def list_indexes() -> Call[tuple[IndexInfo, ...]]:
    """Describe all indexes."""
    return _index("ListIndexes", index_pb2.ListIndexesRequest(), decode.index_infos)


def drop_index(name: str) -> Call[None]:
    """Drop an index."""
    request = index_pb2.DropIndexRequest()
    encode.assign(request, name=name)
    return _index("DropIndex", request, lambda _: None, idempotent=False)


def info() -> Call[ServerInfo]:
    """Describe the server."""
    return described(server_pb2, "ServerService", "GetInfo", server_pb2.GetInfoRequest(), decode.server_info)


def health(service: str) -> Call[Health]:
    """Ask the standard health service."""
    request = health_pb2.HealthCheckRequest()
    encode.assign(request, service=service)
    return described(health_pb2, "Health", "Check", request, decode.health)


def _index_of(response: Any) -> IndexInfo:
    return decode.index_info(response.index)


def _index(method: str, request: Message, read: Callable[[Any], T], *, idempotent: bool = True) -> Call[T]:
    return described(index_pb2, "IndexService", method, request, read, idempotent=idempotent)


def described(
    module: ModuleType,
    service: str,
    method: str,
    request: Message,
    read: Callable[[Any], T],
    *,
    idempotent: bool = True,
) -> Call[T]:
    """The call `method` of a service that `module` declares."""
    found = module.DESCRIPTOR.services_by_name[service].methods_by_name[method]
    response = getattr(module, found.output_type.name)
    return Call(f"/{found.containing_service.full_name}/{method}", request, response.FromString, read, idempotent)

"""Requests from the wire as the engine's values; every violation is found and names its field."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from itertools import islice

from google.protobuf import duration_pb2

from cascade.types import Document, Query
from cascade_api.v1 import index_pb2, ranking_pb2
from cascade_server.convert.checks import Checks, check_index_name, quoted
from cascade_server.convert.documents import check_unique, inline_documents, stored_document
from cascade_server.convert.filters import filter_of
from cascade_server.settings import Settings
from cascade_server.walks import LARGE_BYTES, walked

MAX_EMPTY_IDS = 100  # named in one answer, which holds no more


@dataclass(frozen=True, slots=True)
class RankQuery:
    """A rank request that keeps all rules: it has either an index or documents, and a sticky key."""

    cascade: str
    query: Query
    index: str
    documents: tuple[Document, ...]
    top_k: int
    include_text: bool
    explain: bool
    tier_seconds: float | None
    min_probability: float | None
    sticky_key: str = ""


def rank_query(message: ranking_pb2.RankRequest, limits: Settings) -> RankQuery:
    """Raises InvalidInputError with every violation."""
    checks = Checks()
    checks.require(bool(message.cascade), "cascade", "is empty, expected the name of one of the tenant's cascades")
    checks.require(bool(message.query.strip()), "query", "is blank, expected a text to search for")
    checks.require(
        len(message.query) <= limits.max_query_chars,
        "query",
        f"found {len(message.query)} characters, expected at most {limits.max_query_chars}",
    )
    checks.require(
        1 <= message.top_k <= limits.max_top_k, "top_k", f"found {message.top_k}, expected 1 to {limits.max_top_k}"
    )
    checks.require(
        len(message.sticky_key) <= limits.max_query_chars,
        "sticky_key",
        f"found {len(message.sticky_key)} characters, expected at most {limits.max_query_chars}",
    )
    if message.index and message.documents:
        checks.add("documents", "found documents beside an index, expected exactly one of the two")
    elif message.index:
        check_index_name(message.index, "index", checks)
    elif not message.documents:
        checks.add("documents", "found neither documents nor an index, expected exactly one of the two")
    checks.require(
        len(message.documents) <= limits.max_documents,
        "documents",
        f"found {len(message.documents)}, expected at most {limits.max_documents}; keep that many in an index",
    )
    # No more than may be there: a message holds millions of empty documents.
    within = islice(message.documents, limits.max_documents)
    documents = inline_documents(within, checks, max_chars=limits.max_document_chars)
    where = filter_of(message.filter, checks) if message.HasField("filter") else None
    tier_seconds = _seconds(message.budget, "budget", checks) if message.HasField("budget") else None
    least = message.min_probability if message.HasField("min_probability") else None
    if least is not None:
        checks.require(0.0 <= least <= 1.0, "min_probability", f"found {least}, expected a probability from 0 to 1")
    checks.done()
    return RankQuery(
        cascade=message.cascade,
        query=Query(message.query, where),
        index=message.index,
        documents=tuple(documents),
        top_k=message.top_k,
        include_text=message.include_text,
        explain=message.explain,
        tier_seconds=tier_seconds,
        min_probability=least,
        sticky_key=message.sticky_key or message.query,
    )


@dataclass(frozen=True, slots=True)
class Upsert:
    """A whole upsert: its index, and its documents in the order they came."""

    index: str
    documents: tuple[Document, ...]


async def upsert(messages: AsyncIterator[index_pb2.UpsertDocumentsRequest], limits: Settings) -> Upsert:
    """Collect the stream; documents are numbered across its messages. Raises InvalidInputError with every violation."""
    checks = Checks()
    index, documents, size = "", list[Document](), 0
    most, most_bytes = limits.max_upsert_documents, limits.max_upsert_bytes
    async for message in messages:
        index = index or message.index
        if message.index not in ("", index):
            found = f"found {quoted(message.index)} after {quoted(index)}"
            checks.add("index", f"{found}, expected one index for the whole stream")
        message_size = message.ByteSize()
        start, size = len(documents), size + message_size
        if start + len(message.documents) > most or size > most_bytes:
            what = f"{most} documents" if size <= most_bytes else f"{most_bytes} bytes"
            checks.add("documents", f"found more than {what} in one upsert; send it as several")
            checks.done()
        read = partial(_stored_documents, message, start, checks, limits.max_document_chars)
        documents += await walked(message_size > LARGE_BYTES, read)
    check_index_name(index, "index", checks)
    check_unique([d.doc_id for d in documents], checks)
    checks.done()
    return Upsert(index, tuple(documents))


def _stored_documents(
    message: index_pb2.UpsertDocumentsRequest, start: int, checks: Checks, max_chars: int
) -> list[Document]:
    return [stored_document(d, i, checks, max_chars=max_chars) for i, d in enumerate(message.documents, start)]


def deletion(message: index_pb2.DeleteDocumentsRequest) -> tuple[str, tuple[str, ...]]:
    """The index, and the ids to delete, each once. Raises InvalidInputError with every violation."""
    checks = Checks()
    check_index_name(message.index, "index", checks)
    checks.require(len(message.doc_ids) > 0, "doc_ids", "is empty, expected at least one id")
    empty = (position for position, doc_id in enumerate(message.doc_ids) if not doc_id)
    for position in islice(empty, MAX_EMPTY_IDS):
        checks.add(f"doc_ids[{position}]", "is empty, expected the id of a document")
    checks.done()
    return message.index, tuple(dict.fromkeys(message.doc_ids))


def index_name(name: str) -> str:
    """The checked `name` of a request about one index. Raises InvalidInputError."""
    checks = Checks()
    check_index_name(name, "name", checks)
    checks.done()
    return name


def _seconds(duration: duration_pb2.Duration, field: str, checks: Checks) -> float:
    valid = duration.seconds >= 0 and 0 <= duration.nanos <= 999_999_999
    checks.require(valid, field, f"found {duration.seconds} s and {duration.nanos} ns, expected zero or more")
    return duration.seconds + duration.nanos / 1e9

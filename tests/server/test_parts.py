"""A message of millions of parts is refused before it takes everybody's time."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from cascade.errors import InvalidInputError
from cascade_api.v1 import document_pb2, ranking_pb2
from cascade_server.interceptors.parts import LARGE, MOST_PARTS, check_parts, more_parts_than

RANK = ranking_pb2.RankRequest.DESCRIPTOR
EMPTY_DOCUMENT = b"\x2a\x00"


def request() -> ranking_pb2.RankRequest:
    """One with every kind of field."""
    message = ranking_pb2.RankRequest(cascade="a", query="q", top_k=300, include_text=True, min_probability=0.5)
    message.budget.seconds = 1
    message.filter.comparison.field = "year"
    message.filter.comparison.values.add().double_value = 0.5
    for doc_id in ("a", "b"):
        document = message.documents.add(doc_id=doc_id, text="x" * 300)
        document.metadata["year"].int_value = 2026
    return message


def test_parts_are_counted_at_every_depth() -> None:
    data = request().SerializeToString()
    counts = [most for most in range(100) if not more_parts_than(most, data, RANK)]
    own, of_budget, of_filter, of_documents = 7, 1, 4, 2 * (1 + 2 + 1 + 2 + 1)
    assert counts[0] == own + of_budget + of_filter + of_documents


def test_large_texts_are_few_parts() -> None:
    documents = [document_pb2.Document(text="x" * 16_000)] * 1000
    data = ranking_pb2.RankRequest(documents=documents).SerializeToString()
    assert not more_parts_than(2000, data, RANK)
    assert more_parts_than(1999, data, RANK)


@given(st.binary(max_size=200))
def test_any_bytes_are_counted_without_an_error(data: bytes) -> None:
    assert not more_parts_than(len(data), data, RANK)


@given(st.binary(max_size=60).map(lambda noise: request().SerializeToString() + noise))
def test_what_protobuf_reads_has_at_least_the_parts_that_it_writes(data: bytes) -> None:
    try:
        written = ranking_pb2.RankRequest.FromString(data).SerializeToString()
    except DecodeError:
        return
    # Fields that came twice are written once, so the other way round nothing is said.
    for most in (5, 10, 20):
        assert more_parts_than(most, data, RANK) or not more_parts_than(most, written, RANK)


def test_a_small_message_cannot_have_too_many() -> None:
    assert LARGE // len(EMPTY_DOCUMENT) <= MOST_PARTS


async def test_the_bound_is_what_is_let_through() -> None:
    await check_parts(b"\x12\x02" + b"q" * 2 + EMPTY_DOCUMENT * (MOST_PARTS - 1), RANK)
    with pytest.raises(InvalidInputError, match="request: has more than 250,000 parts in 500,002 bytes"):
        await check_parts(EMPTY_DOCUMENT * (MOST_PARTS + 1), RANK)


@pytest.mark.asyncio(loop_scope="session")
async def test_a_request_of_millions_of_empty_documents_is_refused(plain: Any, refused: Any) -> None:
    refusal = await refused(plain.raw(plain.request().SerializeToString() + EMPTY_DOCUMENT * 8_000_000))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.violations["request"].startswith("has more than 250,000 parts in 16,000,")
    assert (await plain.rank()).results

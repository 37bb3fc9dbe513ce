"""Bytes from anywhere are either read or refused with a reason, and never break the server."""

from __future__ import annotations

from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from cascade_api.v1 import document_pb2, ranking_pb2
from cascade_server.interceptors.malformed import Malformed, tolerant

METHOD = "/cascade_api.v1.RankingService/RankStream"

read = tolerant(ranking_pb2.RankStreamRequest.FromString, METHOD)


def test_a_good_message_is_read() -> None:
    message = ranking_pb2.RankStreamRequest(request=ranking_pb2.RankRequest(query="red apples"))
    assert read(message.SerializeToString()) == message


def test_text_inside_another_message_is_named_with_its_path() -> None:
    request = ranking_pb2.RankRequest(index="ripe", query="ripe")
    request.filter.all_of.filters.add().comparison.field = "good"
    request.filter.all_of.filters.add().comparison.field = "ripe"
    data = ranking_pb2.RankStreamRequest(request=request).SerializeToString().replace(b"ripe", b"ri\xffe")
    found = read(data)
    assert isinstance(found, Malformed)
    assert {violation.field for violation in found.error.violations} == {
        "request.query",
        "request.index",
        "request.filter.all_of.filters[1].comparison.field",
    }


def test_a_message_of_too_many_parts_is_searched_no_further() -> None:
    documents = [document_pb2.Document(text="good")] * 30_000
    documents.append(document_pb2.Document(text="ripe"))
    request = ranking_pb2.RankRequest(query="good", documents=documents)
    data = ranking_pb2.RankStreamRequest(request=request).SerializeToString().replace(b"ripe", b"ri\xffe")
    found = read(data)
    assert isinstance(found, Malformed)
    assert [violation.field for violation in found.error.violations] == ["request"]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    found = read(data)
    try:
        assert found == ranking_pb2.RankStreamRequest.FromString(data)
    except DecodeError:
        assert isinstance(found, Malformed)
        assert found.error.violations

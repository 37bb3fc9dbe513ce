"""Keeping documents through either client: batches, progress, and streams that break."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest

from cascade_client import (
    AsyncClient,
    Document,
    InvalidArgumentError,
    NotFoundError,
    UnavailableError,
)


def _documents(count: int) -> list[Document]:
    return [Document(f"d{n}", f"text {n}") for n in range(count)]


def test_an_index_lives_from_create_to_drop(client: Any) -> None:
    created = client.create_index("a", "e")
    assert (created.name, created.documents, created.encoder) == ("a", 0, "e")
    assert created.updated_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    change = client.upsert("a", _documents(3))
    assert (change.added, change.replaced, change.index.documents) == (3, 0, 3)
    assert client.upsert("a", _documents(4)).replaced == 3
    assert client.delete("a", ["d0", "absent"]).deleted == 1
    assert client.get_index("a").documents == 3
    assert [index.name for index in client.list_indexes()] == ["a"]
    client.drop_index("a")
    with pytest.raises(NotFoundError):
        client.get_index("a")


def test_an_index_may_keep_token_vectors_and_tells_what_they_take(client: Any, shelf: Any) -> None:
    created = client.create_index("a", token_vectors="m")
    assert [(r.encoder, r.token_vectors) for r in shelf.requests] == [("", "m")]
    assert (created.token_vectors, created.token_vector_bytes_per_document) == ("t", 123.5)
    assert created.token_id_bytes_per_document == 64.5


def test_documents_travel_in_batches_and_only_the_first_names_the_index(client: Any, shelf: Any) -> None:
    sent: list[int] = []
    client.upsert("a", _documents(5), batch=2, progress=sent.append)
    assert [(r.index, len(r.documents)) for r in shelf.requests] == [("a", 2), ("", 2), ("", 1)]
    assert sent == [2, 4, 5]


def test_large_documents_travel_in_messages_of_about_a_mebibyte(client: Any, shelf: Any) -> None:
    client.upsert("a", [Document(f"d{n}", "x" * 700_000) for n in range(3)])
    assert [len(r.documents) for r in shelf.requests] == [1, 1, 1]


def test_no_documents_are_still_a_message(client: Any, shelf: Any) -> None:
    assert client.upsert("a", []).added == 0
    assert [r.index for r in shelf.requests] == ["a"]


def test_a_broken_stream_of_a_list_is_sent_again_whole(client: Any, shelf: Any) -> None:
    shelf.fail(grpc.StatusCode.UNAVAILABLE, after=2)
    assert client.upsert("a", _documents(9), batch=3).added == 9


def test_a_broken_stream_of_an_iterator_is_not_sent_again(client: Any, shelf: Any) -> None:
    shelf.fail(grpc.StatusCode.UNAVAILABLE, after=0)
    with pytest.raises(UnavailableError):
        client.upsert("a", iter(_documents(9)), batch=3)
    assert shelf.indexes == {}


def test_an_error_while_documents_are_drawn_changes_nothing(client: Any, shelf: Any) -> None:
    def failing() -> Iterator[Document]:
        yield from _documents(4)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        client.upsert("a", failing(), batch=1)
    assert shelf.indexes == {}


def test_a_document_that_cannot_be_sent_changes_nothing(client: Any, shelf: Any) -> None:
    documents = [*_documents(3), {"doc_id": "d4", "text": "x", "metadata": {"a": object()}}]
    with pytest.raises(InvalidArgumentError) as caught:
        client.upsert("a", documents, batch=1)
    assert [v.field for v in caught.value.violations] == ["documents[3].metadata.a"]
    assert shelf.indexes == {}


def test_a_server_that_ends_the_stream_early_is_heard(client: Any, shelf: Any) -> None:
    shelf.fail(grpc.StatusCode.NOT_FOUND, after=1)
    with pytest.raises(NotFoundError):
        client.upsert("a", _documents(200), batch=1)


async def test_the_async_client_takes_documents_as_they_arrive(target: str) -> None:
    async def arriving() -> AsyncIterator[Document]:
        for document in _documents(5):
            yield document

    async with AsyncClient(target) as client:
        assert (await client.upsert("a", arriving(), batch=2)).added == 5


def test_one_text_is_not_a_list_of_ids(client: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="expected a list"):
        client.delete("a", "d1")

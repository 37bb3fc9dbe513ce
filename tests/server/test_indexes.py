"""IndexService through a real server and real indexes."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import grpc
import pytest

from cascade.config import parse
from cascade.weights import resolve_model
from cascade_api.v1 import document_pb2, index_pb2

pytestmark = pytest.mark.asyncio(loop_scope="session")

INVALID = grpc.StatusCode.INVALID_ARGUMENT


async def create(running: Any, name: str) -> index_pb2.Index:
    return (await running.indexes.CreateIndex(index_pb2.CreateIndexRequest(name=name))).index


async def delete(running: Any, index: str, *doc_ids: str) -> index_pb2.DeleteDocumentsResponse:
    return await running.indexes.DeleteDocuments(index_pb2.DeleteDocumentsRequest(index=index, doc_ids=doc_ids))


async def ids(running: Any, index: str, query: str = "red apples") -> list[str]:
    response = await running.rank(cascade="mixed", index=index, query=query)
    return sorted(result.doc_id for result in response.results)


async def test_a_new_index_is_empty_and_has_the_servers_encoder(library: Any) -> None:
    index = await create(library, "fresh")
    assert (index.name, index.documents, index.encoder, index.dimensions) == (
        "fresh",
        0,
        "embedded:all-minilm-l6-v2",
        384,
    )
    assert await ids(library, "fresh") == []


async def test_a_change_is_searched_when_its_call_returns(library: Any, texts: Any) -> None:
    await create(library, "changing")
    added = await library.upsert("changing", texts("green pears", "red apples", named=True))
    assert (added.added, added.replaced, added.index.documents) == (2, 0, 2)
    assert await ids(library, "changing") == ["d0", "d1"]
    replaced = await library.upsert("changing", texts("yellow bananas", named=True))
    assert (replaced.added, replaced.replaced, replaced.index.documents) == (0, 1, 2)
    assert replaced.index.version > added.index.version
    assert (await library.rank(cascade="plain", index="changing", query="bananas")).results[0].doc_id == "d0"
    gone = await delete(library, "changing", "d0", "d0", "unknown")
    assert (gone.deleted, gone.index.documents) == (1, 1)
    assert await ids(library, "changing") == ["d1"]
    assert await library.metric("cascade_index_documents", tenant="default", index="changing") == 1


async def test_the_parts_of_an_upsert_are_one_change(library: Any, texts: Any) -> None:
    index = await create(library, "parts")
    found = texts("a pear", "an apple", "a plum", named=True)
    parts = [
        index_pb2.UpsertDocumentsRequest(index="parts", documents=found[:1]),
        index_pb2.UpsertDocumentsRequest(documents=found[1:2]),
        index_pb2.UpsertDocumentsRequest(index="parts", documents=found[2:]),
    ]
    response = await library.indexes.UpsertDocuments(iter(parts))
    assert (response.added, response.index.version) == (3, index.version + 1)


async def test_concurrent_upserts_of_one_index_are_all_kept(library: Any) -> None:
    await create(library, "busy")
    parts = [[document_pb2.Document(doc_id=f"{part}", text=f"apple {part}")] for part in range(4)]
    await asyncio.gather(*(library.upsert("busy", part) for part in parts))
    assert await ids(library, "busy", "apple") == ["0", "1", "2", "3"]


async def test_a_dropped_index_is_gone(library: Any, refused: Any) -> None:
    await create(library, "brief")
    assert await library.metric("cascade_index_documents", tenant="default", index="brief") == 0
    await library.indexes.DropIndex(index_pb2.DropIndexRequest(name="brief"))
    again = library.indexes.DropIndex(index_pb2.DropIndexRequest(name="brief"))
    assert (await refused(again)).code is grpc.StatusCode.NOT_FOUND
    assert (await refused(library.rank(index="brief"))).code is grpc.StatusCode.NOT_FOUND
    series = {labels for name, labels in await library.metrics() if name == "cascade_index_documents"}
    assert frozenset({("tenant", "default"), ("index", "brief")}) not in series


async def test_an_index_is_described_alone_and_in_the_list(library: Any) -> None:
    index = (await library.indexes.GetIndex(index_pb2.GetIndexRequest(name="fruit"))).index
    assert (index.name, index.version, index.documents) == ("fruit", 2, 4)
    assert (index.vector_search, index.vector_recall, index.problem) == ("flat", 1.0, "")
    assert index.updated_at.seconds > 0
    listed = (await library.indexes.ListIndexes(index_pb2.ListIndexesRequest())).indexes
    assert index in listed
    assert [i.name for i in listed] == sorted(i.name for i in listed)


async def test_an_index_that_exists_is_not_made_again(library: Any, refused: Any) -> None:
    refusal = await refused(create(library, "fruit"))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "ALREADY_EXISTS")
    assert await ids(library, "fruit") == ["d0", "d1", "d2", "d3"]


@pytest.mark.parametrize("name", ["", "Fruit", "../fruit", "a/b", "x" * 64])
async def test_a_name_that_could_not_be_a_folder_is_refused(library: Any, refused: Any, name: str) -> None:
    refusal = await refused(create(library, name))
    assert refusal.code is INVALID
    assert list(refusal.violations) == ["name"]


async def test_callers_cannot_have_other_models_loaded(library: Any, refused: Any) -> None:
    request = index_pb2.CreateIndexRequest(name="other", encoder="/tmp/model")
    refusal = await refused(library.indexes.CreateIndex(request))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "MODEL_LOAD")
    assert refusal.facts["model"] == "/tmp/model"
    assert await library.serving()


async def test_an_upsert_reports_all_its_violations_and_changes_nothing(library: Any, refused: Any) -> None:
    broken = [document_pb2.Document(doc_id="new", text="a plum"), document_pb2.Document(text="no id")]
    broken[0].metadata["price"].double_value = math.nan
    later = [document_pb2.Document(doc_id="new", text="x" * 10_000_000)]
    parts = [
        index_pb2.UpsertDocumentsRequest(index="fruit", documents=broken),
        index_pb2.UpsertDocumentsRequest(index="vegetables", documents=later),
    ]
    refusal = await refused(library.indexes.UpsertDocuments(iter(parts)))
    assert refusal.code is INVALID
    assert refusal.violations == {
        "documents[0].metadata.price": "found nan, expected a finite number",
        "documents[1].doc_id": "is empty, expected an id that is unique in the index",
        "index": 'found "vegetables" after "fruit", expected one index for the whole stream',
        "documents[2].text": "found 10000000 characters with the title, expected at most 1000000",
        "documents[2].doc_id": '"new" is already the id of documents[0], expected each id once',
    }
    assert await ids(library, "fruit") == ["d0", "d1", "d2", "d3"]


async def test_invalid_utf8_in_an_upsert_names_the_field(library: Any, texts: Any, refused: Any) -> None:
    request = index_pb2.UpsertDocumentsRequest(index="fruit", documents=texts("ripe", named=True))
    stub = library.channel.stream_unary("/cascade_api.v1.IndexService/UpsertDocuments")
    refusal = await refused(stub(iter([request.SerializeToString().replace(b"ripe", b"ri\xffe")])))
    assert refusal.code is INVALID
    assert list(refusal.violations) == ["documents[0].text"]


async def test_an_upsert_is_bounded(serve: Any, configs: Any, texts: Any, refused: Any, tmp_path: Any) -> None:
    small = {"max_upsert_documents": 3, "max_upsert_bytes": 2048}
    async with serve(tmp_path, {"plain": configs["plain"]}, **small) as running:
        many = await refused(running.upsert("fruit", texts("a", "b", "c", "d", named=True)))
        large = await refused(running.upsert("fruit", texts("a" * 3000, named=True)))
    assert many.violations == {"documents": "found more than 3 documents in one upsert; send it as several"}
    assert large.violations == {"documents": "found more than 2048 bytes in one upsert; send it as several"}


async def test_deleting_nothing_is_refused(library: Any, refused: Any) -> None:
    assert list((await refused(delete(library, "fruit"))).violations) == ["doc_ids"]
    assert list((await refused(delete(library, "fruit", "d0", ""))).violations) == ["doc_ids[1]"]


async def test_an_index_of_another_encoder_is_refused_by_a_cascade_with_vectors(
    library: Any, refused: Any, serve: Any, tmp_path: Any
) -> None:
    twin = tmp_path / "twin"
    twin.symlink_to(resolve_model("embedded:all-minilm-l6-v2"))
    other = parse(f"retrieve: [{{kind: dense, model: {twin}}}]", "other")
    async with serve(library.server.settings.data_dir, {"other": other}) as running:
        refusal = await refused(running.rank(cascade="other", index="fruit"))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CONFIG")
    assert "name that model, or index again" in refusal.message

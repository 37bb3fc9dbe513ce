"""Writing documents, and searching what was written."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from cascade.errors import InvalidInputError, ModelLoadError
from cascade.filters import Comparison
from cascade.index import Index, IndexStore
from cascade.index.info import Vectors
from cascade.testing import HashedWords
from cascade.types import Document


def _ids(found: list[tuple[str, float]]) -> list[str]:
    return [doc_id for doc_id, _ in found]


def _dense(index: Index, text: str, depth: int = 10) -> list[str]:
    return _ids(index.snapshot.dense(HashedWords().encode_documents([text])[0], depth, None))


def test_an_empty_index_is_searched_in_vain(index: Index) -> None:
    assert index.info.documents == 0
    assert index.snapshot.bm25("water", 10, None) == []
    assert _dense(index, "water") == []
    assert index.snapshot.fetch(["boil"]) == {}


def test_an_upsert_is_visible_when_it_returns(index: Index, notes: list[Document]) -> None:
    change = index.upsert(notes)
    assert (change.added, change.replaced, change.deleted) == (4, 0, 0)
    assert change.info == index.info
    assert index.info.documents == 4
    assert _ids(index.snapshot.bm25("freezing water", 10, None))[0] == "freeze"
    assert _dense(index, "moon circles earth", 1) == ["moon"]


def test_documents_come_back_as_they_went_in(index: Index, notes: list[Document]) -> None:
    index.upsert(notes)
    found = index.snapshot.fetch(["moon", "boil", "nowhere"])
    assert found == {"boil": notes[0], "moon": notes[3]}
    assert found["moon"].metadata["far"] is True
    assert index.snapshot.doc_ids == ["boil", "bread", "freeze", "moon"]


def test_values_of_metadata_keep_their_types(index: Index) -> None:
    metadata = {"i": 1, "f": 1.0, "b": True, "s": "1", "big": 2**62 + 1, "é": "日本"}
    index.upsert([Document("a", "text", metadata=metadata)])
    found = index.snapshot.fetch(["a"])["a"].metadata
    assert {key: (type(value), value) for key, value in found.items()} == {
        key: (type(value), value) for key, value in metadata.items()
    }


def test_a_document_with_a_known_id_is_replaced(index: Index, notes: list[Document]) -> None:
    index.upsert(notes)
    change = index.upsert([Document("moon", "Cheese it is not."), Document("sun", "The sun is a star.")])
    assert (change.added, change.replaced) == (1, 1)
    assert index.info.documents == 5
    assert _ids(index.snapshot.bm25("circles", 10, None)) == []
    assert _ids(index.snapshot.bm25("cheese", 10, None)) == ["moon"]
    assert _dense(index, "cheese it is not.", 1) == ["moon"]


def test_deleted_documents_are_gone(index: Index, notes: list[Document]) -> None:
    index.upsert(notes)
    change = index.delete(["boil", "freeze", "nowhere", "boil"])
    assert (change.added, change.replaced, change.deleted) == (0, 0, 2)
    assert _ids(index.snapshot.bm25("water", 10, None)) == ["bread"]
    assert sorted(_dense(index, "water")) == ["bread", "moon"]
    assert index.snapshot.fetch(["boil"]) == {}


def test_all_documents_can_be_deleted_and_others_come(index: Index, notes: list[Document]) -> None:
    index.upsert(notes)
    assert index.delete([d.doc_id for d in notes]).info.documents == 0
    assert index.snapshot.bm25("water", 10, None) == []
    assert index.upsert(notes[:1]).info.documents == 1


def test_a_title_is_searched_with_the_text(index: Index, notes: list[Document]) -> None:
    index.upsert([Document("a", "of things", title="Zebra")])
    assert _ids(index.snapshot.bm25("zebras", 10, None)) == ["a"]


def test_every_change_makes_one_version_and_no_change_none(index: Index, notes: list[Document]) -> None:
    versions = [index.info.version]
    versions.append(index.upsert(notes).info.version)
    versions.append(index.upsert(notes[:1]).info.version)  # as it is there
    versions.append(index.upsert([]).info.version)
    versions.append(index.delete(["nowhere"]).info.version)
    versions.append(index.delete(["moon"]).info.version)
    first = versions[0]
    assert versions == [first, first + 1, first + 1, first + 1, first + 1, first + 2]


def test_a_snapshot_stays_what_it_was(index: Index, notes: list[Document]) -> None:
    index.upsert(notes)
    before = index.snapshot
    for round in range(4):
        index.upsert([Document("boil", f"Nothing of the kind, {round}.")])
    index.delete(["freeze"])
    assert _ids(before.bm25("boiling water", 2, None)) == ["boil", "freeze"]
    assert before.fetch(["boil", "freeze"]) == {"boil": notes[0], "freeze": notes[1]}


def test_a_filter_is_met_before_the_best_are_chosen(index: Index) -> None:
    documents = [Document(f"d{i:02}", "water " * (20 - i), metadata={"n": i}) for i in range(20)]
    index.upsert(documents)
    where = Comparison("n", "ge", (15,))
    assert len(index.snapshot.bm25("water", 3, where)) == 3
    assert set(_ids(index.snapshot.bm25("water", 10, where))) == {"d15", "d16", "d17", "d18", "d19"}
    vector = HashedWords().encode_documents(["water"])[0]
    assert set(_ids(index.snapshot.dense(vector, 10, where))) == {"d15", "d16", "d17", "d18", "d19"}
    assert index.snapshot.bm25("water", 3, Comparison("other", "eq", (1,))) == []


def test_a_query_vector_of_another_encoder_is_refused(index: Index, notes: list[Document]) -> None:
    index.upsert(notes)
    with pytest.raises(ValueError, match=r"shape \(3,\), expected \(64,\)"):
        index.snapshot.dense(HashedWords(3).encode_documents(["water"])[0], 10, None)


def test_every_broken_rule_is_named_and_nothing_changes(index: Index, notes: list[Document]) -> None:
    index.upsert(notes)
    version = index.info.version
    with pytest.raises(InvalidInputError) as caught:
        index.upsert(
            [
                Document("a", "fine"),
                Document("", "no id"),
                Document("b", " \n"),
                Document("c", "odd", metadata={"ok": 1.5, "bad": float("nan"), "worse": float("-inf"), "huge": 2**63}),
                Document("a", "again"),
                Document("d", "lone \ud800 surrogate", metadata={"s": "\udfff"}),
                Document("e", "typed", metadata={"list": [1]}),
            ]
        )
    assert [violation.field for violation in caught.value.violations] == [
        "documents[1].doc_id",
        "documents[2].text",
        "documents[3].metadata.bad",
        "documents[3].metadata.worse",
        "documents[3].metadata.huge",
        "documents[4].doc_id",
        "documents[5].text",
        "documents[5].metadata.s",
        "documents[6].metadata.list",
    ]
    assert "documents[0] already" in str(caught.value)
    assert index.info.version == version


def test_progress_counts_the_documents_that_have_a_vector(index: Index) -> None:
    seen: list[tuple[int, int]] = []
    documents = [Document(f"d{i}", f"text {i}") for i in range(300)]
    index.upsert(documents[:50])
    index.upsert(documents, progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (50, 300)
    index.upsert(documents, progress=lambda done, total: seen.append((done, total)))  # nothing is left to encode
    assert seen[-1] == (300, 300)
    assert seen == sorted(seen)
    assert len(seen) > 2


def test_a_passage_that_did_not_change_is_not_encoded_again(
    index: Index, encoder: HashedWords, notes: list[Document]
) -> None:
    index.upsert(notes)
    encoder.encoded.clear()
    moved = [Document(d.doc_id, d.text, d.title, {"seen": True}) for d in notes]
    index.upsert([*moved, Document("copy", notes[3].text), Document("copy2", "new"), Document("copy3", "new")])
    assert encoder.encoded == [notes[3].text, "new"]
    assert index.snapshot.fetch(["boil"])["boil"].metadata == {"seen": True}
    assert _dense(index, notes[0].passage, 1) == ["boil"]


class _Interrupted(Exception):
    pass


def test_an_interrupted_upsert_goes_on_where_it_was(
    index: Index, encoder: HashedWords, open_store: Callable[[], IndexStore]
) -> None:
    documents = [Document(f"d{i}", f"text {i}") for i in range(600)]

    def stop(done: int, total: int) -> None:
        if done > 300:
            raise _Interrupted

    with pytest.raises(_Interrupted):
        index.upsert(documents, progress=stop)
    assert index.info.documents == 0
    done = set(encoder.encoded)
    assert 300 < len(done) < 600
    encoder.encoded.clear()
    again = open_store().open("notes")
    first: list[int] = []
    assert again.upsert(documents, progress=lambda done, total: first.append(done)).added == 600
    assert first[0] == len(done)
    assert set(encoder.encoded) == {d.text for d in documents} - done
    assert list((again.folder / "pending").iterdir()) == []
    expected = HashedWords().encode_documents([d.text for d in documents])
    assert np.array_equal(again.snapshot.vectors([d.doc_id for d in documents]), expected)


def test_an_encoder_that_gives_nonsense_is_refused(tmp_path: Path) -> None:
    class Broken(HashedWords):
        def encode_documents(self, passages: object) -> Vectors:
            return super().encode_documents(["x"]) * float("nan")

    store = IndexStore(tmp_path, lambda reference: Broken())
    store.create("notes", "broken")
    with pytest.raises(ModelLoadError, match="NaN"):
        store.open("notes").upsert([Document("a", "text")])
    with pytest.raises(ModelLoadError, match=r"\(1, 64\), expected \(2, 64\)"):
        store.open("notes").upsert([Document("a", "text"), Document("b", "other")])
    assert store.open("notes").info.documents == 0


def test_a_search_during_upserts_sees_one_whole_version(index: Index) -> None:
    """Every upsert writes its generation into all documents; no search may see two."""

    def generation(number: int) -> list[Document]:
        return [Document(f"d{i}", f"water of generation g{number}", metadata={"g": number}) for i in range(20)]

    index.upsert(generation(0))
    finished = threading.Event()
    vector = HashedWords().encode_documents(["water"])[0]

    def search() -> list[tuple[int, ...]]:
        seen = []
        while not finished.is_set():
            snapshot = index.snapshot
            ids = _ids(snapshot.bm25("water", 50, None)) + _ids(snapshot.dense(vector, 50, None))
            documents = snapshot.fetch(ids)
            (number,) = {d.metadata["g"] for d in documents.values()}
            assert {d.text for d in documents.values()} == {f"water of generation g{number}"}
            assert len(_ids(snapshot.bm25(f"g{number}", 50, None))) == 20
            seen.append((int(number), len(ids)))
        return seen

    with ThreadPoolExecutor(2) as threads:
        searches = [threads.submit(search) for _ in range(2)]
        try:
            for number in range(1, 5):
                index.upsert(generation(number))
        finally:
            finished.set()
        for task in searches:
            seen = task.result()
            assert seen
            assert {count for _, count in seen} == {40}
            assert seen == sorted(seen)


def test_writing_threads_take_turns(index: Index) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda i: index.upsert([Document(f"d{i}", f"text {i}")]), range(8)))
    assert index.info.documents == 8


def test_many_small_changes_do_not_grow_the_folder_without_end(index: Index) -> None:
    for number in range(24):
        index.upsert([Document("one", f"generation {number}"), Document(f"d{number}", f"other {number}")])
    table = index.folder / "documents.lance"
    assert len(list((table / "_versions").glob("*.manifest"))) <= 10
    assert len(list((table / "data").iterdir())) < 20
    assert len(list((index.folder / "derived").iterdir())) <= 2
    assert index.info.documents == 25
    assert index.snapshot.fetch(["one", "d3"]) == {
        "one": Document("one", "generation 23"),
        "d3": Document("d3", "other 3"),
    }

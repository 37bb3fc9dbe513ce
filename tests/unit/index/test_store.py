"""The indexes of a tenant, by name."""

import fcntl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cascade.errors import (
    AlreadyExistsError,
    IndexBusyError,
    InvalidInputError,
    ModelLoadError,
    NotFoundError,
)
from cascade.index import Index, IndexStore
from cascade.testing import HashedWords
from cascade.types import Document

OpenStore = Callable[[], IndexStore]


def test_a_new_index_is_empty_and_names_its_encoder(store: IndexStore) -> None:
    info = store.create("notes-2_b", "hashed-words")
    assert (info.name, info.documents, info.encoder, info.dimensions) == ("notes-2_b", 0, "hashed-words", 64)
    assert (info.vector_search, info.vector_recall, info.problem) == ("flat", 1.0, "")
    assert abs(datetime.now(UTC) - info.updated_at) < timedelta(hours=1)
    assert store.open("notes-2_b").info == info


@pytest.mark.parametrize("name", ["", "Notes", "-a", "a b", "../up", "a/b", "ä", "a" * 64, "a\n"])
def test_a_name_that_is_no_name_is_refused(name: str, store: IndexStore) -> None:
    with pytest.raises(InvalidInputError) as caught:
        store.create(name, "hashed-words")
    assert [violation.field for violation in caught.value.violations] == ["name"]
    with pytest.raises(NotFoundError):
        store.open(name)


def test_an_index_is_created_once(store: IndexStore, open_store: OpenStore) -> None:
    store.create("notes", "hashed-words")
    for again in (store, open_store()):
        with pytest.raises(AlreadyExistsError):
            again.create("notes", "hashed-words")


def test_an_encoder_that_cannot_be_loaded_leaves_no_index(tmp_path: Path) -> None:
    def fail(reference: str) -> HashedWords:
        raise ModelLoadError(reference, "there is nothing there")

    store = IndexStore(tmp_path / "indexes", fail)
    with pytest.raises(ModelLoadError):
        store.create("notes", "nowhere")
    assert store.list() == []


def test_an_index_that_is_not_there_is_not_found_and_the_others_are_named(store: IndexStore) -> None:
    store.create("one", "hashed-words")
    with pytest.raises(NotFoundError) as caught:
        store.open("two")
    assert (caught.value.kind, caught.value.name, caught.value.known) == ("index", "two", ("one",))


def test_an_index_is_opened_once_and_shared(store: IndexStore) -> None:
    store.create("notes", "hashed-words")
    assert store.open("notes") is store.open("notes")


def test_what_was_written_is_there_when_opened_again(
    index: Index, open_store: OpenStore, notes: list[Document]
) -> None:
    info = index.upsert(notes).info
    again = open_store().open("notes")
    assert again.info == info
    assert again.snapshot.bm25("water", 10, None) == index.snapshot.bm25("water", 10, None)


def test_indexes_are_listed_by_name(store: IndexStore) -> None:
    assert store.list() == []
    for name in ("b", "a", "c"):
        store.create(name, "hashed-words")
    assert [info.name for info in store.list()] == ["a", "b", "c"]


def test_a_dropped_index_is_gone_and_its_name_free(store: IndexStore, index: Index, notes: list[Document]) -> None:
    index.upsert(notes)
    store.drop("notes")
    assert store.list() == []
    assert not index.folder.exists()
    with pytest.raises(NotFoundError):
        store.open("notes")
    with pytest.raises(NotFoundError):
        store.drop("notes")
    assert store.create("notes", "hashed-words").documents == 0
    assert store.open("notes").snapshot.bm25("water", 10, None) == []


def test_a_snapshot_outlives_its_index(store: IndexStore, index: Index, notes: list[Document]) -> None:
    index.upsert(notes)
    snapshot = index.snapshot
    store.drop("notes")
    assert [doc_id for doc_id, _ in snapshot.bm25("boiling water", 1, None)] == ["boil"]
    assert len(snapshot.dense(HashedWords().encode_documents(["water"])[0], 10, None)) == 4
    assert snapshot.fetch(["boil"]) == {"boil": notes[0]}


def test_a_dropped_index_cannot_be_written_even_when_the_name_is_taken_again(
    store: IndexStore, index: Index, notes: list[Document]
) -> None:
    store.drop("notes")
    with pytest.raises(NotFoundError):
        index.upsert(notes)
    store.create("notes", "hashed-words")
    with pytest.raises(NotFoundError):
        index.upsert(notes)
    assert store.open("notes").info.documents == 0


def test_what_another_process_wrote_is_seen(store: IndexStore, open_store: OpenStore, notes: list[Document]) -> None:
    store.create("notes", "hashed-words")
    here, there = store.open("notes"), open_store().open("notes")
    there.upsert(notes)
    assert store.open("notes") is here
    assert here.info == there.info
    here.delete(["moon"])
    there.upsert([Document("sun", "The sun is a star.")])
    assert store.open("notes").snapshot.fetch(["sun", "moon"]).keys() == {"sun"}


def test_what_another_process_dropped_is_gone(store: IndexStore, open_store: OpenStore) -> None:
    store.create("notes", "hashed-words")
    store.open("notes")
    other = open_store()
    other.drop("notes")
    with pytest.raises(NotFoundError):
        store.open("notes")
    other.create("notes", "hashed-words")
    assert store.open("notes").info.documents == 0


def test_while_another_process_writes_writing_is_refused_and_reading_is_not(
    store: IndexStore, index: Index, notes: list[Document]
) -> None:
    index.upsert(notes)
    with (index.folder / "lock").open("rb") as other:  # a second open file is as foreign as a second process
        fcntl.flock(other, fcntl.LOCK_EX)
        for write in (lambda: index.upsert(notes), lambda: index.delete(["boil"]), lambda: store.drop("notes")):
            with pytest.raises(IndexBusyError):
                write()
        assert len(index.snapshot.bm25("water", 10, None)) == 3
        assert store.list()[0].documents == 4
    assert store.open("notes").delete(["boil"]).deleted == 1


def test_closing_lets_snapshots_be(store: IndexStore, index: Index, notes: list[Document]) -> None:
    index.upsert(notes)
    snapshot = index.snapshot
    store.close()
    assert len(snapshot.bm25("water", 10, None)) == 3
    assert store.open("notes").info == snapshot.info

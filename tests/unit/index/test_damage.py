"""Index folders that were damaged."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cascade.errors import CorruptIndexError
from cascade.index import Index, IndexStore
from cascade.types import Document

OpenStore = Callable[[], IndexStore]


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _newest_manifest(table: Path) -> Path:
    return min((table / "_versions").glob("*.manifest"))  # they are numbered downwards


def _garbage_manifest(table: Path) -> None:
    _newest_manifest(table).write_bytes(b"this is no manifest at all" * 20)


def _empty_manifest(table: Path) -> None:
    _newest_manifest(table).write_bytes(b"")


def _no_manifest(table: Path) -> None:
    shutil.rmtree(table / "_versions")


def _no_data(table: Path) -> None:
    shutil.rmtree(table / "data")


def _short_data(table: Path) -> None:
    for path in (table / "data").iterdir():
        path.write_bytes(path.read_bytes()[:-10])


def _no_table(table: Path) -> None:
    shutil.rmtree(table)


def _a_file_instead(table: Path) -> None:
    shutil.rmtree(table)
    table.write_text("hello")


def _another_table(table: Path) -> None:
    import lance
    import pyarrow as pa

    shutil.rmtree(table)
    lance.write_dataset(pa.table({"id": ["a"]}), table)


DAMAGES = [
    _garbage_manifest,
    _empty_manifest,
    _no_manifest,
    _no_data,
    _short_data,
    _no_table,
    _a_file_instead,
    _another_table,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_table_is_told_and_left_as_it_is(
    damage: Callable[[Path], None], index: Index, open_store: OpenStore, notes: list[Document]
) -> None:
    index.upsert(notes)
    damage(index.folder / "documents.lance")
    before = _contents(index.folder)
    store = open_store()
    with pytest.raises(CorruptIndexError) as caught:
        store.open("notes")
    assert caught.value.index == "notes"
    (info,) = store.list()
    assert info.name == "notes"
    assert "notes" in info.problem
    assert _contents(index.folder) == before
    store.drop("notes")
    assert store.create("notes", "hashed-words").documents == 0


def test_a_damaged_index_does_not_hide_the_others(index: Index, store: IndexStore, open_store: OpenStore) -> None:
    store.create("other", "hashed-words")
    _no_table(index.folder / "documents.lance")
    assert [(info.name, bool(info.problem)) for info in open_store().list()] == [("notes", True), ("other", False)]


@pytest.mark.parametrize("file", ["manifest.json", "documents.arrow", "vectors/flat.faiss", "lexical/postings.npz"])
@pytest.mark.parametrize("how", ["gone", "garbage", "one bit"])
def test_derived_files_that_were_damaged_are_made_again(
    file: str, how: str, index: Index, open_store: OpenStore, notes: list[Document]
) -> None:
    info = index.upsert(notes).info
    path = index.folder / "derived" / str(info.version) / file
    content = path.read_bytes()
    path.unlink()  # what is served is mapped from the old file, which this leaves alone
    if how == "garbage":
        path.write_bytes(b"garbage")
    elif how == "one bit":
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    again = open_store().open("notes")
    assert again.info == info
    assert again.snapshot.bm25("boiling water", 10, None) == index.snapshot.bm25("boiling water", 10, None)
    assert again.snapshot.fetch(["boil", "moon"]) == {"boil": notes[0], "moon": notes[3]}
    assert again.upsert([Document("sun", "The sun is a star.")]).info.documents == 5


def test_what_was_derived_from_another_table_of_the_same_version_is_not_served(
    store: IndexStore, index: Index, open_store: OpenStore, notes: list[Document]
) -> None:
    index.upsert(notes[:2])
    store.create("other", "hashed-words")
    other = store.open("other")
    other.upsert(notes[2:])
    assert index.info.version == other.info.version
    table = index.folder / "documents.lance"
    shutil.rmtree(table)
    shutil.copytree(other.folder / "documents.lance", table)
    restored = open_store().open("notes")
    assert restored.snapshot.fetch([d.doc_id for d in notes]).keys() == {"bread", "moon"}


def test_a_folder_without_what_is_derived_is_an_index(
    index: Index, open_store: OpenStore, notes: list[Document]
) -> None:
    info = index.upsert(notes).info
    shutil.rmtree(index.folder / "derived")
    assert open_store().open("notes").info == info


def test_damaged_pending_vectors_are_encoded_again(index: Index, notes: list[Document]) -> None:
    pending = index.folder / "pending"
    pending.mkdir()
    (pending / "chunk.npz").write_bytes(b"PK garbage")
    (pending / "cut.new").write_bytes(b"")
    assert index.upsert(notes).added == 4
    assert list(pending.iterdir()) == []

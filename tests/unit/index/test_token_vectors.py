"""An index that keeps token vectors has those of every document as it is, and of no other."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from cascade.errors import ModelLoadError
from cascade.index import Index, IndexStore
from cascade.index.token_vectors import from_bytes, to_bytes
from cascade.stages import StoredVectors, TokenVectors
from cascade.testing import HashedTokens, HashedWords
from cascade.types import Document

OpenStore = Callable[[], IndexStore]


@pytest.fixture
def tokens() -> HashedTokens:
    return HashedTokens()


@pytest.fixture
def open_store(tmp_path: Path, encoder: HashedWords, tokens: HashedTokens) -> OpenStore:
    return lambda: IndexStore(tmp_path / "indexes", lambda reference: encoder, lambda reference: tokens)


@pytest.fixture
def index(store: IndexStore) -> Index:
    store.create("notes", "hashed-words", "hashed-tokens")
    return store.open("notes")


def _kept(index: Index) -> TokenVectors:
    found = index.snapshot.token_vectors
    assert isinstance(found, TokenVectors)
    return found


def _assert_holds(index: Index, documents: Sequence[Document]) -> None:
    """Exactly these documents have vectors, and they are theirs."""
    found = _kept(index).fetch([*(d.doc_id for d in documents), "nowhere"])
    expected = HashedTokens().encode_documents([d.passage for d in documents])
    assert list(found) == [d.doc_id for d in documents] == sorted(index.snapshot.doc_ids, key=list(found).index)
    for one, other in zip(found.values(), expected, strict=True):
        assert (one.vectors == other.vectors).all()
        assert (one.scale == other.scale).all()
        assert (one.tokens_seen, one.tokens_total) == (other.tokens_seen, other.tokens_total)


def test_every_document_has_the_vectors_of_its_passage(index: Index, notes: list[Document]) -> None:
    index.upsert(notes)
    _assert_holds(index, notes)
    assert _kept(index).reference == "hashed-tokens"


def test_their_size_is_told(index: Index, notes: list[Document]) -> None:
    assert (index.info.token_vectors, index.info.token_vector_bytes_per_document) == ("hashed-tokens", 0.0)
    index.upsert(notes)
    words = [min(len(note.passage.split()), 8) for note in notes]
    assert index.info.token_vector_bytes_per_document == 12 + np.mean(words) * (16 + 2)


def test_replaced_documents_have_new_vectors_and_deleted_ones_none(index: Index, notes: list[Document]) -> None:
    index.upsert(notes)
    changed = Document("boil", "Milk boils over.")
    index.upsert([changed])
    index.delete(["freeze"])
    _assert_holds(index, [changed, notes[2], notes[3]])
    index.delete(["boil", "bread", "moon"])
    assert _kept(index).fetch(["boil", "moon"]) == {}
    index.upsert(notes[:1])
    _assert_holds(index, notes[:1])


def test_a_document_that_keeps_its_passage_is_not_encoded_again(
    index: Index, tokens: HashedTokens, notes: list[Document]
) -> None:
    index.upsert(notes)
    tokens.encoded.clear()
    other_year = Document("boil", notes[0].text, notes[0].title, {"year": 2000})
    index.upsert([other_year, *notes[1:]])
    assert tokens.encoded == []
    _assert_holds(index, [other_year, *notes[1:]])


def test_equal_passages_are_encoded_once(index: Index, tokens: HashedTokens) -> None:
    twins = [Document("a", "the same words"), Document("b", "the same words")]
    index.upsert(twins)
    assert tokens.encoded == ["the same words"]
    _assert_holds(index, twins)


def test_another_process_reads_them(index: Index, open_store: OpenStore, notes: list[Document]) -> None:
    index.upsert(notes)
    again = open_store().open("notes")
    _assert_holds(again, notes)
    assert again.info == index.info


def test_without_what_is_derived_they_are_read_from_the_table(
    index: Index, open_store: OpenStore, tokens: HashedTokens, notes: list[Document]
) -> None:
    index.upsert(notes)
    tokens.encoded.clear()
    shutil.rmtree(index.folder / "derived")
    _assert_holds(open_store().open("notes"), notes)
    assert tokens.encoded == []


@pytest.mark.parametrize("file", ["tokens/vectors.bin", "tokens/rows.npz"])
@pytest.mark.parametrize("how", ["gone", "cut", "one bit"])
def test_damaged_files_are_made_again_from_the_table(
    file: str, how: str, index: Index, open_store: OpenStore, notes: list[Document]
) -> None:
    path = index.folder / "derived" / str(index.upsert(notes).info.version) / file
    content = path.read_bytes()
    path.unlink()
    if how == "cut":
        path.write_bytes(content[:-3])
    elif how == "one bit":
        path.write_bytes(content[:40] + bytes([content[40] ^ 1]) + content[41:])
    _assert_holds(open_store().open("notes"), notes)


def test_an_interrupted_upsert_does_not_encode_twice(index: Index, tokens: HashedTokens, open_store: OpenStore) -> None:
    many = [Document(f"d{i:03}", f"text number {i}") for i in range(200)]

    def stop(done: int, total: int) -> None:
        if 0 < done < total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index.upsert(many, progress=stop)
    first = len(tokens.encoded)
    assert 0 < first < 200
    again = open_store().open("notes")
    again.upsert(many)
    assert len(tokens.encoded) == 200
    _assert_holds(again, many)


def test_vectors_outlive_the_version_that_they_were_read_from(
    index: Index, store: IndexStore, notes: list[Document]
) -> None:
    index.upsert(notes)
    before = _kept(index)
    for number in range(4):
        index.upsert([Document("boil", f"other words {number}")])
    store.drop("notes")
    expected = HashedTokens().encode_documents([notes[0].passage])[0]
    assert (before.fetch(["boil"])["boil"].vectors == expected.vectors).all()


def test_an_index_without_them_has_none(store: IndexStore, tokens: HashedTokens, notes: list[Document]) -> None:
    store.create("plain", "hashed-words")
    plain = store.open("plain")
    plain.upsert(notes)
    assert plain.snapshot.token_vectors is None
    assert (plain.info.token_vectors, plain.info.token_vector_bytes_per_document) == ("", 0.0)
    assert tokens.encoded == []


def test_where_none_can_be_made_such_an_index_is_refused_and_readable(
    tmp_path: Path, index: Index, encoder: HashedWords, notes: list[Document]
) -> None:
    index.upsert(notes)
    elsewhere = IndexStore(tmp_path / "indexes", lambda reference: encoder)
    with pytest.raises(ModelLoadError, match="no token vectors can be made here"):
        elsewhere.create("other", "hashed-words", "hashed-tokens")
    assert [info.name for info in elsewhere.list()] == ["notes"]
    found = elsewhere.open("notes")
    with pytest.raises(ModelLoadError, match="no token vectors can be made here"):
        found.upsert([Document("new", "words")])
    assert found.delete(["boil"]).deleted == 1
    _assert_holds(found, notes[1:])


class _Broken(HashedTokens):
    def encode_documents(self, passages: Sequence[str]) -> list[StoredVectors]:
        found = super().encode_documents(passages)
        return [StoredVectors(one.vectors[:, :-1], one.scale, one.tokens_seen, one.tokens_total) for one in found]


def test_vectors_of_another_shape_are_refused_and_nothing_changes(
    tmp_path: Path, encoder: HashedWords, notes: list[Document]
) -> None:
    store = IndexStore(tmp_path, lambda reference: encoder, lambda reference: _Broken())
    store.create("notes", "hashed-words", "hashed-tokens")
    with pytest.raises(ModelLoadError, match="shape"):
        store.open("notes").upsert(notes)
    assert store.open("notes").info.documents == 0


def test_bytes_come_back_as_vectors_and_bytes_of_another_length_are_refused() -> None:
    (stored,) = HashedTokens().encode_documents(["some words of a text that goes on for longer"])
    content = to_bytes(stored)
    found = from_bytes(content, 16)
    assert (found.vectors == stored.vectors).all()
    assert (found.tokens_seen, found.tokens_total) == (8, 10)
    for wrong in (content[:-1], content + b"x", b"", content[:5]):
        with pytest.raises(ValueError, match="bytes"):
            from_bytes(wrong, 16)

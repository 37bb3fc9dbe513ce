"""An index keeps the token ids of every document as it is, makes none twice, and says whose they are."""

import json
import shutil
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from cascade.errors import ModelLoadError
from cascade.index import Index, IndexStore
from cascade.index.info import Tokeniser
from cascade.index.token_ids import TokenIdFile
from cascade.stages import TokenIds
from cascade.testing import HashedIds, HashedWords
from cascade.types import Document

OpenStore = Callable[[], IndexStore]


class Reading(HashedWords):
    """An encoder with a tokenizer that may be exchanged, or be missing."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: HashedIds | None = HashedIds()

    def tokeniser(self) -> Tokeniser:
        if self.ids is None:
            raise ModelLoadError(self.reference, "its tokenizer is gone")
        return self.ids


@pytest.fixture
def encoder() -> Reading:
    return Reading()


def _assert_holds(index: Index, documents: Sequence[Document], tokenizer: str = "hashed-ids") -> None:
    """Exactly these documents have ids, and they are theirs."""
    kept = index.snapshot.token_ids
    assert isinstance(kept, TokenIds)
    assert kept.tokenizer == index.info.tokenizer == tokenizer
    found = kept.fetch([*(d.doc_id for d in documents), "nowhere"])
    assert sorted(found) == sorted(index.snapshot.doc_ids)
    for text, expected in zip(found.values(), HashedIds()([d.passage for d in documents]), strict=True):
        assert text.ids.dtype == np.uint16
        assert (text.ids.tolist(), text.total) == (expected.ids.tolist(), expected.total)


def test_every_document_has_the_ids_of_its_passage(index: Index, notes: list[Document]) -> None:
    index.upsert([*notes, Document("long", "word " * 20)])
    _assert_holds(index, [*notes, Document("long", "word " * 20)])


def test_their_size_is_told(index: Index, notes: list[Document]) -> None:
    assert (index.info.tokenizer, index.info.token_id_bytes_per_document) == ("", 0.0)
    index.upsert(notes)
    words = [min(len(note.passage.split()), 8) for note in notes]
    assert index.info.token_id_bytes_per_document == pytest.approx(np.mean(words) * 2 + 4 + 8 * 5 / 4)


def test_replaced_documents_have_new_ids_and_deleted_ones_none(index: Index, notes: list[Document]) -> None:
    index.upsert(notes)
    changed = Document("boil", "Milk boils over.")
    index.upsert([changed])
    index.delete(["freeze"])
    _assert_holds(index, [changed, notes[2], notes[3]])
    index.delete(["boil", "bread", "moon"])
    index.upsert(notes[:1])
    _assert_holds(index, notes[:1])


def test_only_new_passages_are_read_and_a_delete_asks_for_no_tokenizer(
    index: Index, encoder: Reading, notes: list[Document]
) -> None:
    index.upsert(notes[:3])
    assert encoder.ids is not None
    encoder.ids.made.clear()
    other_year = Document("boil", notes[0].text, notes[0].title, {"year": 2000})
    index.upsert([other_year, notes[3]])
    assert encoder.ids.made == [notes[3].passage]
    encoder.ids = None
    index.delete(["freeze"])
    _assert_holds(index, [other_year, notes[2], notes[3]])


def test_another_tokenizer_makes_all_ids_anew(index: Index, encoder: Reading, notes: list[Document]) -> None:
    index.upsert(notes[:3])
    encoder.ids = HashedIds("another")
    index.upsert(notes[3:])
    assert sorted(encoder.ids.made) == sorted(note.passage for note in notes)
    _assert_holds(index, notes, "another")


def test_another_process_reads_them(index: Index, open_store: OpenStore, notes: list[Document]) -> None:
    index.upsert(notes)
    again = open_store().open("notes")
    _assert_holds(again, notes)
    assert again.info == index.info


def test_without_what_is_derived_they_are_made_again(
    index: Index, open_store: OpenStore, notes: list[Document]
) -> None:
    index.upsert(notes)
    shutil.rmtree(index.folder / "derived")
    _assert_holds(open_store().open("notes"), notes)


def test_ids_that_were_damaged_are_made_again(index: Index, open_store: OpenStore, notes: list[Document]) -> None:
    index.upsert(notes)
    (file,) = (index.folder / "derived").rglob("ids.bin")
    file.write_bytes(bytes(file.stat().st_size))
    _assert_holds(open_store().open("notes"), notes)


def test_an_index_from_before_there_were_any_gets_them_with_its_next_new_passage(
    index: Index, open_store: OpenStore, notes: list[Document]
) -> None:
    index.upsert(notes[:3])
    (manifest,) = (index.folder / "derived" / str(index.info.version)).glob("manifest.json")
    facts = json.loads(manifest.read_text(encoding="utf-8"))
    del facts["tokenizer"]
    manifest.write_text(json.dumps(facts), encoding="utf-8")
    old = open_store().open("notes")
    assert (old.snapshot.token_ids, old.info.tokenizer) == (None, "")
    old.delete(["freeze"])
    assert old.snapshot.token_ids is None
    old.upsert(notes[3:])
    _assert_holds(old, [notes[0], notes[2], notes[3]])


def test_without_a_tokenizer_documents_are_searched_all_the_same(
    index: Index, encoder: Reading, notes: list[Document]
) -> None:
    encoder.ids = None
    with capture_logs() as logs:
        index.upsert(notes)
    assert [log["reason"] for log in logs if log["event"] == "token_ids_not_kept"] == [
        "model 'hashed-words' cannot be loaded: its tokenizer is gone"
    ]
    assert index.snapshot.token_ids is None
    assert index.snapshot.bm25("moon", 5, None)[0][0] == "moon"
    encoder.ids = HashedIds(fingerprint="")  # it cannot be compared with any other
    index.upsert([Document("new", "words")])
    assert index.snapshot.token_ids is None


PASSAGES = st.lists(st.text(alphabet="ab ", max_size=30), min_size=1, max_size=12)


@given(PASSAGES, PASSAGES, st.data())
def test_a_file_holds_the_ids_of_its_passages_whatever_was_known(
    tmp_path_factory: pytest.TempPathFactory, old: list[str], new: list[str], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("ids")
    TokenIdFile.build(old, folder / "old", None, np.full(len(old), -1), HashedIds)
    before = TokenIdFile.load(folder / "old", "hashed-ids")
    known = np.array([data.draw(st.sampled_from([-1, *range(len(old))])) for _ in new])
    passages = [old[row] if row >= 0 else passage for row, passage in zip(known, new, strict=True)]
    maker = HashedIds()
    assert TokenIdFile.build(passages, folder / "new", before, known, lambda: maker) == "hashed-ids"
    found = TokenIdFile.load(folder / "new", "hashed-ids")
    for row, expected in enumerate(HashedIds()(passages)):
        assert (found.tokenised(row).ids.tolist(), found.tokenised(row).total) == (
            expected.ids.tolist(),
            expected.total,
        )
    assert maker.made == [passage for passage, row in zip(passages, known, strict=True) if row < 0]

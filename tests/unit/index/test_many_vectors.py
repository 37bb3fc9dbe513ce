"""An index with more vectors than are searched exactly: through changes, by those that read on, and when reopened."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cascade.index import Index, IndexStore, Snapshot
from cascade.testing import HashedWords
from cascade.types import Document

OpenStore = Callable[[], IndexStore]


@pytest.fixture
def open_store(tmp_path: Path, encoder: HashedWords) -> OpenStore:
    """As in an index of tens of thousands, but for a hundred."""
    return lambda: IndexStore(tmp_path / "indexes", lambda reference: encoder, flat_limit=100)


def _documents(first: int, last: int) -> list[Document]:
    words = ["red", "green", "blue", "cyan", "pink", "gold", "grey", "teal"]
    return [
        Document(f"d{n:04}", " ".join(words[(n * k) % 8] + str(n % (k + 2)) for k in range(1, 6)), metadata={"n": n})
        for n in range(first, last)
    ]


def _nearest(snapshot: Snapshot, encoder: HashedWords, text: str) -> list[tuple[str, float]]:
    return snapshot.dense(encoder.encode_documents([text])[0], 20, None)


def _exact_scores(encoder: HashedWords, documents: list[Document], text: str) -> list[float]:
    scores = encoder.encode_documents([d.passage for d in documents]) @ encoder.encode_documents([text])[0]
    return [float(score) for score in np.sort(scores)[::-1][:20]]


def test_few_newcomers_are_found_beside_the_codes(index: Index, encoder: HashedWords, open_store: OpenStore) -> None:
    assert index.upsert(_documents(0, 400)).info.vector_search == "ivf"
    before = index.snapshot
    text = "red2 gold4 blue1"
    scores = [score for _, score in _nearest(before, encoder, text)]
    assert scores == pytest.approx(_exact_scores(encoder, _documents(0, 400), text), abs=1e-6)
    index.upsert([Document("new", text)])
    index.delete(["d0007"])
    assert _nearest(index.snapshot, encoder, text)[0][0] == "new"
    reopened = open_store().open("notes")
    assert reopened.info == index.info
    assert _nearest(reopened.snapshot, encoder, text) == _nearest(index.snapshot, encoder, text)
    assert [score for _, score in _nearest(before, encoder, text)] == scores  # its folder is gone by now


def test_a_filter_is_met_exactly(index: Index, encoder: HashedWords) -> None:
    from cascade.filters import Comparison

    index.upsert(_documents(0, 400))
    vector = encoder.encode_documents(["red2 gold4 blue1"])[0]
    for limit in (3, 150, 390):
        found = index.snapshot.dense(vector, 20, Comparison("n", "lt", (limit,)))
        exact = _exact_scores(encoder, _documents(0, limit), "red2 gold4 blue1")
        assert [score for _, score in found] == pytest.approx(exact, abs=1e-6)


def test_what_was_derived_in_another_format_is_derived_again(index: Index, open_store: OpenStore) -> None:
    info = index.upsert(_documents(0, 200)).info
    folder = index.folder / "derived" / str(info.version)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    (folder / "manifest.json").write_text(json.dumps({**manifest, "format": 1}), encoding="utf-8")
    (folder / "vectors" / "codes.json").write_text('{"links": 32}', encoding="utf-8")
    assert open_store().open("notes").info == info
    assert json.loads((folder / "vectors" / "codes.json").read_text(encoding="utf-8"))["kind"] == "ivf"

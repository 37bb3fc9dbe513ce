"""A bench works on real texts: queries of a collection with what BM25 finds for them."""

import json
import sys
from pathlib import Path

import pytest

from cascade.bench.options import Options
from cascade.bench.texts import best, texts
from cascade.errors import InvalidInputError

PASSAGES = {
    "cats": "Cats sleep for most of the day and hunt at dusk.",
    "dogs": "Dogs guard the house and sleep at night.",
    "rails": "Trains run on rails of steel.",
}


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    folder = tmp_path / "animals"
    folder.mkdir()
    lines = [json.dumps({"_id": doc_id, "title": "", "text": text}) for doc_id, text in PASSAGES.items()]
    (folder / "corpus.jsonl").write_text("\n".join(lines), encoding="utf-8")
    asked = [json.dumps({"_id": str(n), "text": text}) for n, text in enumerate(("when do cats hunt", "steel rails"))]
    (folder / "queries.jsonl").write_text("\n".join(asked), encoding="utf-8")
    return folder


def test_what_bm25_finds_comes_best_first() -> None:
    assert best(["sleep at night", "steel"], PASSAGES, 2)[0] == ["dogs", "cats"]
    assert best(["steel"], PASSAGES, 1) == [["rails"]]


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bm25s", None)  # as the language says that it is not there
    with pytest.raises(InvalidInputError, match="pip install bm25s"):
        best(["steel"], PASSAGES, 1)


def test_a_collection_gives_its_own_queries_and_passages(collection: Path) -> None:
    found = texts(Options(collection=collection))
    assert found.source == "animals"
    work = {one.query: one.passages for one in found.work(queries=2, depth=2, seed=0)}
    assert work["when do cats hunt"][0] == PASSAGES["cats"]
    assert all(len(passages) == 2 for passages in work.values())


def test_the_same_seed_draws_the_same(collection: Path) -> None:
    found = texts(Options(collection=collection))
    assert found.work(1, 1, seed=3) == found.work(1, 1, seed=3)
    assert found.sample(2, seed=3) == found.sample(2, seed=3)


def test_a_folder_without_a_preferred_collection_leaves_the_documentation_of_python(tmp_path: Path) -> None:
    found = texts(Options(collections=tmp_path))
    assert found.source.startswith("documentation of Python")
    assert len(found.passages) > 100
    assert found.queries

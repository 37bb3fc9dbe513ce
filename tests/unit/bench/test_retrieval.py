"""The benches of retrieval, as small as they can be."""

import json
from pathlib import Path

import numpy as np
import pytest

from cascade.bench import bm25, dense, resident
from cascade.bench.options import Options
from cascade.index.info import Vectors
from cascade.index.vectors import VectorSearch

QUICK = Options(rounds=2, quick=True)


def _unit(rows: int) -> Vectors:
    vectors: Vectors = np.random.default_rng(0).standard_normal((rows, 32)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


@pytest.fixture
def collections(tmp_path: Path) -> Path:
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        documents = [{"_id": str(n), "title": "", "text": f"{name} text {n} of words"} for n in range(40)]
        queries = [{"_id": str(n), "text": f"which text is {n}"} for n in range(10)]
        for file, lines in (("corpus.jsonl", documents), ("queries.jsonl", queries)):
            (folder / file).write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return tmp_path


def test_bm25_is_held_against_both_libraries_and_equal_to_one_of_them(collections: Path) -> None:
    told: list[str] = []
    found = bm25.bench(Options(rounds=2, quick=True, collections=collections), told.append)
    assert {peer.speed.name.split(",")[0] for peer in found.peers} == {"rank-bm25", "bm25s numpy", "bm25s numba"}
    assert {peer.ours for peer in found.peers} == {
        "cascade, 500 documents, questions",
        "cascade, 500 documents, passages",
    }
    assert [check.value for check in found.checks] == [0.0]
    assert "all 2 collections of a folder, and 420 passages" in json.dumps(found.to_json()["quality"])
    assert any("round 2 of 2" in line for line in told)


def test_dense_tells_recall_and_memory_beside_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dense, "_embedded", lambda options, tell: ("made texts", _unit(50), _unit(20)))
    found = dense.bench(QUICK, lambda line: None)
    assert [peer.speed.name for peer in found.peers] == ["faiss IndexFlatIP, 3,000 vectors"]
    checks = {check.name: check.value for check in found.checks}
    assert checks["recall@100"] > 0.9
    assert checks["memory of the search"] > 0
    json.dumps(found.to_json())


def test_vectors_are_drawn_near_the_examples() -> None:
    examples = _unit(50)
    made = dense.near(examples, 1000, seed=0)
    assert np.linalg.norm(made, axis=1) == pytest.approx(np.ones(1000), abs=1e-5)
    nearest = (made @ examples.T).max(axis=1)
    assert np.mean(nearest) > np.mean((_unit(1050)[50:] @ examples.T).max(axis=1)) + 0.1
    assert np.array_equal(made, dense.near(examples, 1000, seed=0))


def test_memory_is_that_of_the_codes_and_not_of_the_mapped_vectors(tmp_path: Path) -> None:
    vectors = dense.near(_unit(50), 60_000, seed=0)
    ids = [f"{number:06}" for number in range(len(vectors))]
    VectorSearch.build(vectors, ids, tmp_path / "vectors", None, flat_limit=0)
    taken = resident.measure(tmp_path / "vectors")
    assert taken is None or taken < vectors.nbytes / 2

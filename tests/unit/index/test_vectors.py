"""Nearest vectors: exact while few, on a graph of measured recall beyond."""

import os
from pathlib import Path

import numpy as np
import pytest

from cascade.index.graph import RECALL_WANTED, Graph
from cascade.index.info import Vectors
from cascade.index.vectors import Predecessor, VectorSearch

ROWS, DIMENSIONS = 600, 16


def _unit(rows: int, seed: int = 0) -> Vectors:
    vectors = np.random.default_rng(seed).standard_normal((rows, DIMENSIONS)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _ids(rows: int) -> list[str]:
    return [f"d{row:05}" for row in range(rows)]


def _build(
    vectors: Vectors, folder: Path, limit: int, before: Predecessor | None = None, ids: list[str] | None = None
) -> VectorSearch:
    VectorSearch.build(vectors, ids or _ids(len(vectors)), folder, before, limit)
    return VectorSearch.load(folder)


def _exact(vectors: Vectors, query: Vectors, depth: int, allowed: np.ndarray | None = None) -> list[int]:
    scores = vectors @ query
    if allowed is not None:
        scores = np.where(allowed, scores, -np.inf)
    return np.argsort(-scores, kind="stable")[:depth].tolist()


@pytest.fixture
def few(tmp_path: Path) -> VectorSearch:
    return _build(_unit(ROWS), tmp_path / "few", limit=ROWS)


@pytest.fixture
def many(tmp_path: Path) -> VectorSearch:
    return _build(_unit(ROWS), tmp_path / "many", limit=100)


QUERY = _unit(1, seed=9)[0]


def test_few_vectors_are_searched_exactly(few: VectorSearch) -> None:
    rows, scores = few.search(QUERY, 20, None)
    assert (few.kind, few.recall) == ("flat", 1.0)
    assert rows.tolist() == _exact(_unit(ROWS), QUERY, 20)
    assert scores == pytest.approx(_unit(ROWS)[rows] @ QUERY, abs=1e-5)


def test_many_vectors_are_searched_on_a_graph_with_the_recall_that_was_asked_for(many: VectorSearch) -> None:
    assert many.kind == "hnsw"
    assert many.recall >= RECALL_WANTED
    rows, _ = many.search(QUERY, 20, None)
    assert len(set(rows.tolist()) & set(_exact(_unit(ROWS), QUERY, 20))) >= 19


def test_a_graph_that_cannot_reach_the_recall_says_what_it_reaches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cascade.index.graph._SHAPES", ((2, 2), (2, 4)))
    monkeypatch.setattr("cascade.index.graph._WIDTHS", (1,))
    graph = Graph.build(_unit(3000))
    assert 0.0 < graph.recall < RECALL_WANTED


@pytest.mark.parametrize("share", [0.02, 0.6])
def test_a_filter_is_met_before_the_best_are_chosen(many: VectorSearch, share: float) -> None:
    allowed = np.random.default_rng(1).random(ROWS) < share
    rows, _ = many.search(QUERY, 10, allowed)
    assert allowed[rows].all()
    assert len(set(rows.tolist()) & set(_exact(_unit(ROWS), QUERY, 10, allowed))) >= min(10, allowed.sum()) - 1


@pytest.mark.parametrize("limit", [100, ROWS])
def test_a_filter_that_nothing_meets_finds_nothing(tmp_path: Path, limit: int) -> None:
    rows, _ = _build(_unit(ROWS), tmp_path / "all", limit).search(QUERY, 10, np.zeros(ROWS, dtype=np.bool_))
    assert len(rows) == 0


def test_no_vectors_are_searched_in_vain(tmp_path: Path) -> None:
    rows, scores = _build(_unit(0), tmp_path / "none", limit=100).search(QUERY, 10, None)
    assert len(rows) == len(scores) == 0


def test_fewer_vectors_than_asked_for_are_all_found(tmp_path: Path) -> None:
    rows, _ = _build(_unit(3), tmp_path / "three", limit=100).search(QUERY, 10, None)
    assert sorted(rows.tolist()) == [0, 1, 2]


def test_a_few_changes_keep_the_graph_and_are_found_beside_it(many: VectorSearch, tmp_path: Path) -> None:
    ids, vectors = _ids(ROWS), _unit(ROWS)
    after_ids = [*ids[1:-1], "e00000"]  # the first and the last gone, one new at the end
    after = np.vstack([vectors[1:-1], QUERY[None, :]])
    after[5] = -vectors[6]  # and one that says something else now
    search = _build(after, tmp_path / "after", 100, Predecessor(many, ids, tmp_path / "many"), after_ids)
    assert os.path.samefile(tmp_path / "many" / "graph.faiss", tmp_path / "after" / "graph.faiss")
    assert search.flat_rows.tolist() == [5, ROWS - 2]
    assert search.search(QUERY, 1, None)[0].tolist() == [ROWS - 2]
    assert search.search(after[5], 1, None)[0].tolist() == [5]
    found = search.search(QUERY, len(after), None)[0]
    assert len(set(found.tolist())) == len(found)
    assert found.max() < len(after)


def test_many_changes_build_the_graph_anew(many: VectorSearch, tmp_path: Path) -> None:
    after = np.vstack([_unit(ROWS)[:-100], _unit(100, seed=3)])
    search = _build(after, tmp_path / "after", 100, Predecessor(many, _ids(ROWS), tmp_path / "many"))
    assert not os.path.samefile(tmp_path / "many" / "graph.faiss", tmp_path / "after" / "graph.faiss")
    assert len(search.flat_rows) == 0


def test_an_index_that_shrank_below_the_limit_is_exact_again(many: VectorSearch, tmp_path: Path) -> None:
    search = _build(_unit(ROWS)[:50], tmp_path / "after", 100, Predecessor(many, _ids(ROWS), tmp_path / "many"))
    assert search.kind == "flat"


@pytest.mark.parametrize("limit", [100, ROWS])
def test_vectors_are_given_back_by_row(tmp_path: Path, limit: int) -> None:
    search = _build(_unit(ROWS), tmp_path / "all", limit)
    rows = np.array([5, 0, 599, 5])
    assert np.array_equal(search.vectors(rows), _unit(ROWS)[rows])

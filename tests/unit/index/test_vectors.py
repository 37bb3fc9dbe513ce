"""Nearest vectors: exact while few, by codes of measured recall beyond."""

import os
from pathlib import Path

import numpy as np
import pytest

from cascade.index.approximate import RECALL_WANTED, Approximate
from cascade.index.info import Vectors
from cascade.index.vectors import Predecessor, VectorSearch

ROWS, DIMENSIONS = 600, 16


def _unit(rows: int, seed: int = 0) -> Vectors:
    vectors = np.random.default_rng(seed).standard_normal((rows, DIMENSIONS)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _ids(rows: int) -> list[str]:
    return [f"d{row:05}" for row in range(rows)]


def _build(
    vectors: Vectors,
    folder: Path,
    limit: int,
    before: Predecessor | None = None,
    ids: list[str] | None = None,
    graph_from: int = 10**9,
) -> VectorSearch:
    VectorSearch.build(vectors, ids or _ids(len(vectors)), folder, before, limit, graph_from)
    return VectorSearch.load(folder)


def _exact(vectors: Vectors, query: Vectors, depth: int, allowed: np.ndarray | None = None) -> list[int]:
    scores = vectors @ query
    if allowed is not None:
        scores = np.where(allowed, scores, -np.inf)
    return np.argsort(-scores, kind="stable")[:depth].tolist()


@pytest.fixture
def few(tmp_path: Path) -> VectorSearch:
    return _build(_unit(ROWS), tmp_path / "few", limit=ROWS)


@pytest.fixture(params=["ivf", "hnsw"])
def many(tmp_path: Path, request: pytest.FixtureRequest) -> VectorSearch:
    found = _build(_unit(ROWS), tmp_path / "many", limit=100, graph_from=10**9 if request.param == "ivf" else 100)
    assert found.kind == request.param
    return found


QUERY = _unit(1, seed=9)[0]


def test_few_vectors_are_searched_exactly(few: VectorSearch) -> None:
    rows, scores = few.search(QUERY, 20, None)
    assert (few.kind, few.recall) == ("flat", 1.0)
    assert rows.tolist() == _exact(_unit(ROWS), QUERY, 20)
    assert scores == pytest.approx(_unit(ROWS)[rows] @ QUERY, abs=1e-5)


def test_many_vectors_are_searched_with_the_recall_that_was_asked_for(many: VectorSearch) -> None:
    assert many.recall >= RECALL_WANTED
    rows, scores = many.search(QUERY, 20, None)
    assert len(set(rows.tolist()) & set(_exact(_unit(ROWS), QUERY, 20))) >= 19
    assert scores == pytest.approx(_unit(ROWS)[rows] @ QUERY, abs=1e-6)


def test_a_search_is_as_narrow_as_the_recall_allows() -> None:
    middles = _unit(40)
    vectors = middles[np.arange(8000) % 40] + 0.02 * _unit(8000, seed=2)
    assert Approximate.build("ivf", vectors).width < Approximate.build("ivf", _unit(8000)).width


def test_lists_that_reach_the_recall_in_no_other_way_are_all_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cascade.index.approximate.RECALL_WANTED", 1.0)
    found = Approximate.build("ivf", np.random.default_rng(0).standard_normal((3000, 64)).astype(np.float32))
    assert found.width == found.codes.widths[-1] == found.codes.index.nlist
    assert found.recall > 0.99


def test_a_graph_that_cannot_reach_the_recall_says_what_it_reaches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cascade.index.codes._LINKS", 2)
    monkeypatch.setattr("cascade.index.codes._LINKING_WIDTH", 2)
    assert 0.0 < Approximate.build("hnsw", _unit(3000)).recall < RECALL_WANTED


def test_vectors_of_any_length_keep_their_order(tmp_path: Path) -> None:
    long = 50 * _unit(ROWS) * np.linspace(0.1, 1, ROWS, dtype=np.float32)[:, None]
    rows, scores = _build(long, tmp_path / "long", limit=100).search(QUERY, 20, None)
    assert len(set(rows.tolist()) & set(_exact(long, QUERY, 20))) >= 19
    assert scores == pytest.approx(long[rows] @ QUERY, abs=1e-4)


def test_vectors_that_are_all_zero_are_found(tmp_path: Path) -> None:
    rows, scores = _build(np.zeros((300, 8), dtype=np.float32), tmp_path / "zero", 100).search(QUERY[:8], 20, None)
    assert (len(rows), scores.tolist()) == (20, [0.0] * 20)


@pytest.mark.parametrize("share", [0.02, 0.2, 0.6])
def test_a_filter_is_met_before_the_best_are_chosen(
    many: VectorSearch, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cascade.index.approximate._FEW", 50)
    monkeypatch.setattr("cascade.index.approximate._COMPARED_LEAST", 20)
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


def test_a_few_changes_keep_the_codes_and_are_found_beside_it(many: VectorSearch, tmp_path: Path) -> None:
    ids, vectors = _ids(ROWS), _unit(ROWS)
    after_ids = [*ids[1:-1], "e00000"]  # the first and the last gone, one new at the end
    after = np.vstack([vectors[1:-1], QUERY[None, :]])
    after[5] = -vectors[6]  # and one that says something else now
    search = _build(after, tmp_path / "after", 100, Predecessor(many, ids, tmp_path / "many"), after_ids)
    for file in ("codes.faiss", "codes.npy"):
        assert os.path.samefile(tmp_path / "many" / file, tmp_path / "after" / file)
    assert search.flat_rows.tolist() == [5, ROWS - 2]
    assert search.search(QUERY, 1, None)[0].tolist() == [ROWS - 2]
    assert search.search(after[5], 1, None)[0].tolist() == [5]
    found = search.search(QUERY, len(after), None)[0]
    assert len(set(found.tolist())) == len(found)
    assert found.max() < len(after)


def test_many_changes_make_the_codes_anew(many: VectorSearch, tmp_path: Path) -> None:
    after = np.vstack([_unit(ROWS)[:-100], _unit(100, seed=3)])
    search = _build(after, tmp_path / "after", 100, Predecessor(many, _ids(ROWS), tmp_path / "many"))
    assert not os.path.samefile(tmp_path / "many" / "codes.faiss", tmp_path / "after" / "codes.faiss")
    assert len(search.flat_rows) == 0


def test_an_index_that_shrank_below_the_limit_is_exact_again(many: VectorSearch, tmp_path: Path) -> None:
    search = _build(_unit(ROWS)[:50], tmp_path / "after", 100, Predecessor(many, _ids(ROWS), tmp_path / "many"))
    assert search.kind == "flat"


@pytest.mark.parametrize("limit", [100, ROWS])
def test_vectors_are_given_back_by_row(tmp_path: Path, limit: int) -> None:
    search = _build(_unit(ROWS), tmp_path / "all", limit)
    rows = np.array([5, 0, 599, 5])
    assert np.array_equal(search.vectors(rows), _unit(ROWS)[rows])

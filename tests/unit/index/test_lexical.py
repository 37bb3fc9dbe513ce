"""BM25 over an index, against rank-bm25, bm25s and the formula."""

import math
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import bm25s
import numba
import numpy as np
import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from rank_bm25 import BM25Plus

from cascade.index.lexical import K1, B, Lexical
from cascade.index.postings import Postings
from cascade.index.tokens import tokenize, tokenize_query
from cascade.index.walk import compiled

PASSAGES = [
    "Water boils at one hundred degrees, boiling water is hot",
    "Water freezes at zero degrees",
    "Bread is made of flour and water and water",
    "",
    "The moon circles the earth",
    "Water",
]
QUERIES = ["water", "boiling water water", "the moon and bread", "degrees", "nothing here", "the", "?"]
WORDS = st.lists(st.sampled_from(["red", "green", "blue", "cyan", "pink"]), max_size=6).map(" ".join)


def _build(passages: Sequence[str], folder: Path, before: Lexical | None = None, known: object = None) -> Lexical:
    rows = np.full(len(passages), -1, dtype=np.int64) if known is None else np.asarray(known, dtype=np.int64)
    Lexical.build(passages, folder, before, rows)
    return Lexical.load(folder, len(passages))


def _reference(passages: Sequence[str], query: str) -> list[float]:
    scores = BM25Plus([tokenize(p) for p in passages], k1=K1, b=B, delta=0).get_scores(tokenize_query(query))
    return [float(score) for score in scores]


@pytest.mark.parametrize("query", QUERIES)
def test_scores_are_those_of_rank_bm25_to_the_last_bit(query: str, tmp_path: Path) -> None:
    assert _build(PASSAGES, tmp_path / "bm25").scores(query).tolist() == _reference(PASSAGES, query)


@settings(deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=40).filter(any), WORDS, st.integers(1, 45), st.data())
def test_the_best_are_those_of_rank_bm25(passages: list[str], query: str, depth: int, data: st.DataObject) -> None:
    rows = range(len(passages))
    allowed = data.draw(st.none() | st.lists(st.booleans(), min_size=len(passages), max_size=len(passages)))
    expected = [(-score, row) for row, score in zip(rows, _reference(passages, query), strict=True) if score > 0]
    expected = sorted(pair for pair in expected if allowed is None or allowed[pair[1]])[:depth]
    with TemporaryDirectory() as folder:
        lexical = _build(passages, Path(folder) / "bm25")
        found, scores = lexical.search(query, depth, None if allowed is None else np.array(allowed))
    assert [(-score, row) for row, score in zip(found.tolist(), scores.tolist(), strict=True)] == expected


def test_the_best_of_many_passages_are_those_of_rank_bm25(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    passages = [" ".join(f"w{word}" for word in np.minimum(draw.zipf(1.3, 8), 500)) for _ in range(18_000)]
    lexical = _build(passages, tmp_path / "bm25")
    reference = BM25Plus([tokenize(p) for p in passages], k1=K1, b=B, delta=0)
    for query in ("w1 w2 w3 w2", "w17 w480", passages[7]):
        scores = reference.get_scores(tokenize_query(query))
        expected = np.lexsort((np.arange(len(passages)), -scores))[:300]
        found, own = lexical.search(query, 300, None)
        assert (found.tolist(), own.tolist()) == (expected.tolist(), scores[expected].tolist())


@pytest.mark.parametrize("query", QUERIES)
def test_scores_are_those_of_the_formula(query: str, tmp_path: Path) -> None:
    bags = [Counter(tokenize(p)) for p in PASSAGES]
    mean = sum(bag.total() for bag in bags) / len(bags)

    def score(bag: Counter[str]) -> float:
        total = 0.0
        for term in tokenize_query(query):
            df = sum(term in other for other in bags)
            if bag[term]:
                idf = math.log((len(bags) + 1) / df)
                total += idf * bag[term] * (K1 + 1) / (bag[term] + K1 * (1 - B + B * bag.total() / mean))
        return total

    assert _build(PASSAGES, tmp_path / "bm25").scores(query) == pytest.approx([score(bag) for bag in bags], abs=1e-5)


@settings(deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=8).filter(any))
def test_scores_are_nearly_those_of_bm25s(passages: list[str]) -> None:
    reference = bm25s.BM25(k1=K1, b=B, method="atire", idf_method="bm25+")
    reference.index([tokenize(p) for p in passages], show_progress=False)
    with TemporaryDirectory() as folder:
        ours = _build(passages, Path(folder) / "bm25")
        for word in ("red", "blue pink", "green green cyan"):
            ids = reference.get_tokens_ids(tokenize(word))
            expected = reference.get_scores_from_ids(ids) if ids else np.zeros(len(passages))
            assert ours.scores(word) == pytest.approx(expected, abs=1e-5)


@settings(deadline=None)
@given(st.lists(WORDS, max_size=6), st.lists(WORDS, max_size=6), st.data())
def test_counting_only_new_passages_gives_what_counting_all_gives(
    old: list[str], new: list[str], data: st.DataObject
) -> None:
    kept = data.draw(st.lists(st.sampled_from(range(len(old))), unique=True)) if old else []
    passages, known = new + [old[row] for row in kept], [-1] * len(new) + kept
    with TemporaryDirectory() as folder:
        before = _build(old, Path(folder) / "before")
        after = _build(passages, Path(folder) / "after", before, known)
        fresh = _build(passages, Path(folder) / "fresh")
        assert set(after.vocabulary) == {term for passage in passages for term in tokenize(passage)}
        for query in ("red", "blue pink", "green cyan"):
            assert after.scores(query).tolist() == fresh.scores(query).tolist()


def test_only_rows_that_share_a_term_are_found(tmp_path: Path) -> None:
    rows, scores = _build(PASSAGES, tmp_path / "bm25").search("freezing moon", 10, None)
    assert sorted(rows.tolist()) == [1, 4]
    assert (scores > 0).all()


def test_equal_scores_go_by_row_and_the_cut_keeps_the_first(tmp_path: Path) -> None:
    rows, _ = _build(["same words"] * 30, tmp_path / "bm25").search("words", 3, None)
    assert rows.tolist() == [0, 1, 2]


def test_what_is_not_allowed_takes_no_place(tmp_path: Path) -> None:
    allowed = np.array([False, True, False, True, True, False])
    rows, _ = _build(PASSAGES, tmp_path / "bm25").search("water", 1, allowed)
    assert rows.tolist() == [1]


def test_threads_search_one_index_at_once(tmp_path: Path) -> None:
    lexical = _build(PASSAGES * 500, tmp_path / "bm25")
    alone = [lexical.search(query, 50, None)[0].tolist() for query in QUERIES]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda query: lexical.search(query, 50, None)[0].tolist(), QUERIES * 40))
    assert together == alone * 40


@pytest.mark.parametrize("passages", [[], ["", "?!"]])
def test_passages_without_terms_are_searched_in_vain(passages: list[str], tmp_path: Path) -> None:
    rows, scores = _build(passages, tmp_path / "bm25").search("water", 10, None)
    assert len(rows) == len(scores) == 0


def test_code_that_can_be_kept_nowhere_is_compiled_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    compile_with = numba.njit

    def refuse_to_keep(*arguments: Any, cache: bool = False, **options: Any) -> Any:
        if cache:
            raise RuntimeError("no locator available")
        return compile_with(*arguments, **options)

    monkeypatch.setattr("numba.njit", refuse_to_keep)
    with structlog.testing.capture_logs() as logs:
        loop = compiled.__wrapped__()
    assert [line["event"] for line in logs] == ["compiled_code_not_kept"]
    assert loop.signatures == compiled().signatures  # type: ignore[attr-defined]  # numba's own


def test_rows_are_taken_in_any_order() -> None:
    vocabulary: dict[str, int] = {}
    counted = Postings.count(["red red blue", "", "green"], vocabulary)
    turned = counted.take(np.array([2, 1, 0]))
    assert turned.starts.tolist() == [0, 1, 1, 3]
    assert [(t, c) for t, c in zip(turned.terms.tolist(), turned.counts.tolist(), strict=True)] == [
        (vocabulary["green"], 1),
        (vocabulary["red"], 2),
        (vocabulary["blue"], 1),
    ]

"""Reading BEIR folders: what is in them, and errors that name file and line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cascade.errors import InvalidInputError
from cascade.train.data import (
    Collection,
    Similarity,
    Triple,
    read_collection,
    read_graded,
    read_questions,
    read_triples,
)

_VECTORS = {"q": (1.0, 0.0), "answer": (1.0, 0.0), "near": (0.9, 0.436), "twin": (0.999, 0.0447), "far": (0.0, 1.0)}


def _encode(texts: Sequence[str]) -> NDArray[np.float32]:
    return np.array([_VECTORS[text] for text in texts], dtype=np.float32)


@pytest.fixture
def geometry() -> tuple[Collection, Triple]:
    texts = {name: name for name in ("answer", "near", "twin", "far")}
    return Collection("plane", texts, {"1": "q"}), Triple("1", "q", ("answer",), ())


def test_a_passage_is_the_title_above_the_text(beir_folder: Path) -> None:
    collection = read_collection(beir_folder)
    assert collection.texts["tea-0"].startswith("tea\nfacts about tea")
    assert collection.texts["tea-1"].startswith("more")
    assert collection.queries["q-tea"] == "what is tea"


def test_triples_are_read(beir_folder: Path) -> None:
    triples = read_triples(beir_folder, read_collection(beir_folder))
    assert len(triples) == 12
    assert triples[0].positive_ids == ("tea-0",)


def test_a_positive_is_never_a_negative_too(beir_folder: Path) -> None:
    row = {"query_id": "q-tea", "query": "x", "positive_ids": ["tea-0"], "negative_ids": ["tea-0", "rain-0"]}
    (beir_folder / "triples.train.jsonl").write_text(json.dumps(row))
    assert read_triples(beir_folder, read_collection(beir_folder))[0].negative_ids == ("rain-0",)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{not json", r"triples\.train\.jsonl:2: not valid JSON"),
        ("[1]", r"triples\.train\.jsonl:2: found list"),
        ('{"query_id": "q", "query": "x"}', r"jsonl:2: 'positive_ids' is None"),
        ('{"query_id": "q", "query": "x", "positive_ids": ["tea-0"]}', r"jsonl:2: query 'q' is not in queries\.jsonl"),
        ('{"query_id": "q", "query": "x", "positive_ids": [], "negative_ids": []}', r"jsonl:2: .*is empty"),
        (
            '{"query_id": "q", "query": "x", "positive_ids": ["nope"], "negative_ids": []}',
            r"jsonl:2: document 'nope' is not in corpus\.jsonl",
        ),
        ('{"query_id": 7, "query": "x", "positive_ids": ["tea-0"], "negative_ids": []}', r"jsonl:2: 'query_id' is 7"),
    ],
)
def test_a_broken_triple_names_file_and_line(beir_folder: Path, line: str, message: str) -> None:
    path = beir_folder / "triples.train.jsonl"
    good = path.read_text(encoding="utf-8").splitlines()[0]
    path.write_text(f"{good}\n{line}\n", encoding="utf-8")
    with pytest.raises(InvalidInputError, match=message):
        read_triples(beir_folder, read_collection(beir_folder))


def test_invalid_utf8_names_file_and_line(beir_folder: Path) -> None:
    (beir_folder / "queries.jsonl").write_bytes(b'{"_id": "a", "text": "b"}\n{"_id": "\xff"}\n')
    with pytest.raises(InvalidInputError, match=r"queries\.jsonl:2: not valid UTF-8"):
        read_collection(beir_folder)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"corpus\.jsonl: cannot be read"):
        read_collection(tmp_path)


def test_a_document_as_near_as_the_answer_is_no_negative(geometry: tuple[Collection, Triple]) -> None:
    collection, triple = geometry
    assert Similarity.of(collection, _encode).nearest_negatives(triple, depth=3) == ("near", "far")


def test_the_nearest_negatives_come_first(geometry: tuple[Collection, Triple]) -> None:
    collection, triple = geometry
    similarity = Similarity.of(collection, _encode)
    assert similarity.nearest_negatives(triple, depth=1) == ("near",)
    assert similarity.nearest_negatives(triple, depth=2, ceiling=1.0) == ("twin", "near")


def test_vectors_are_kept_for_the_next_call(geometry: tuple[Collection, Triple], tmp_path: Path) -> None:
    collection, _ = geometry
    first = Similarity.of(collection, _encode, tmp_path)

    def refuse(texts: Sequence[str]) -> NDArray[np.float32]:
        raise AssertionError(f"encoded {len(texts)} texts again")

    again = Similarity.of(collection, refuse, tmp_path)
    assert np.allclose(first.cosines("1", ["near", "far"]), again.cosines("1", ["near", "far"]), atol=1e-3)


def _questions(folder: Path) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    found = read_questions(folder, read_collection(folder))
    return {question.query_id: (question.positive_ids, question.negative_ids) for question in found}


def test_questions_come_from_triples_then_grades_then_judgments_then_alone(beir_folder: Path) -> None:
    assert len(_questions(beir_folder)["q-tea"][1]) == 3
    (beir_folder / "triples.train.jsonl").unlink()
    grades = [{"id": "tea-0", "grade": 2}, {"id": "rain-0", "grade": 0}]
    row = {"query_id": "q-tea", "query": "what is tea", "candidates": grades}
    (beir_folder / "listwise.train.jsonl").write_text(json.dumps(row), encoding="utf-8")
    assert _questions(beir_folder) == {"q-tea": (("tea-0",), ("rain-0",))}
    (beir_folder / "listwise.train.jsonl").unlink()
    (beir_folder / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\nq-rain\train-0\t1\n")
    assert _questions(beir_folder) == {"q-rain": (("rain-0",), ())}
    (beir_folder / "qrels" / "train.tsv").unlink()
    assert set(_questions(beir_folder).values()) == {((), ())}


def test_a_grade_that_is_no_number_is_named(beir_folder: Path) -> None:
    row = {"query_id": "q-tea", "query": "what is tea", "candidates": [{"id": "tea-0", "grade": "high"}]}
    (beir_folder / "listwise.train.jsonl").write_text(json.dumps(row), encoding="utf-8")
    with pytest.raises(InvalidInputError, match=r"listwise\.train\.jsonl:1: candidate .* expected an id"):
        read_graded(beir_folder, read_collection(beir_folder))

"""The development set reranks BM25's head and measures it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from cascade.errors import InvalidInputError
from cascade.train.development import DevelopmentSet


def test_an_oracle_puts_every_found_answer_first(beir_folder: Path) -> None:
    development = DevelopmentSet.load(beir_folder, "test", depth=5)

    def oracle(pairs: Sequence[tuple[str, str]]) -> Sequence[float]:
        return [float(text.startswith(query.split()[-1])) for query, text in pairs]

    assert set(development.ndcg(development.rerank(oracle)).values()) == {1.0}


def test_the_reverse_order_is_worse(beir_folder: Path) -> None:
    path = beir_folder / "queries.jsonl"
    path.write_text(
        path.read_text(encoding="utf-8").replace("what is ", "not rain, coal or lead but "), encoding="utf-8"
    )
    development = DevelopmentSet.load(beir_folder, "test", depth=5)

    def worst(pairs: Sequence[tuple[str, str]]) -> Sequence[float]:
        return [-float(text.startswith(query.split()[-1])) for query, text in pairs]

    reversed_order = development.ndcg(development.rerank(worst))
    assert all(value < 0.7 for value in reversed_order.values())


def test_a_sample_is_the_same_for_the_same_seed(beir_folder: Path) -> None:
    first = DevelopmentSet.load(beir_folder, "test", depth=2, sample=4, seed=3)
    again = DevelopmentSet.load(beir_folder, "test", depth=2, sample=4, seed=3)
    assert len(first.qrels) == 4
    assert list(first.qrels) == list(again.qrels)
    assert list(first.heads) == list(first.qrels)


def test_a_judged_question_without_text_is_named(beir_folder: Path) -> None:
    with (beir_folder / "qrels" / "test.tsv").open("a") as file:
        file.write("q-missing\ttea-0\t1\n")
    with pytest.raises(InvalidInputError, match=r"test\.tsv:14: query 'q-missing' is not in queries\.jsonl"):
        DevelopmentSet.load(beir_folder, "test", depth=2)

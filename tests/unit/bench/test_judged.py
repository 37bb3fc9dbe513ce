"""Quality is measured beside speed, on the same candidates for all."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from cascade.bench.judged import losses, tau


def by_length(query: str, passages: Sequence[str]) -> list[float]:
    return [float(len(passage)) for passage in passages]


def by_shortness(query: str, passages: Sequence[str]) -> list[float]:
    return [-float(len(passage)) for passage in passages]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "wikiqa"
    (folder / "qrels").mkdir(parents=True)
    texts = {"a": "long and relevant", "b": "short"}
    corpus = (json.dumps({"_id": doc_id, "title": "", "text": text}) for doc_id, text in texts.items())
    (folder / "corpus.jsonl").write_text("\n".join(corpus), encoding="utf-8")
    queries = (json.dumps({"_id": f"q{n}", "text": "what is relevant"}) for n in range(4))
    (folder / "queries.jsonl").write_text("\n".join(queries), encoding="utf-8")
    judged = [f"q{n}\t{doc_id}\t{grade}" for n in range(4) for doc_id, grade in (("a", 1), ("b", 0))]
    (folder / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *judged]), encoding="utf-8")
    return tmp_path


def test_a_loss_is_what_the_reference_has_more(root: Path) -> None:
    scorers = {"ours": by_shortness, "float32": by_length, "same": by_length}
    found, checks, notes = losses(root, scorers, "float32", queries=None, seed=0)
    assert found["wikiqa test"]["float32"] == 1.0
    assert found["wikiqa test"]["queries"] == 4
    lost, nothing = checks
    assert lost.value == pytest.approx(1.0 - found["wikiqa test"]["ours"])
    assert (lost.met, nothing.met, nothing.value) == ("neither", "aim", 0.0)
    assert notes == ["msmarco-v2-dl21-dl22-dl23 is not in the folder of collections; quality was not measured on it"]


def test_a_sample_is_bounded(root: Path) -> None:
    found, _, _ = losses(root, {"float32": by_length}, "float32", queries=2, seed=0)
    assert found["wikiqa test"]["queries"] == 2


def test_scorers_agree_as_far_as_their_orders_do() -> None:
    assert tau([[1, 2, 3]], [[10, 20, 30]]) == pytest.approx(1)
    assert tau([[1, 2, 3], [1, 2, 3]], [[3, 2, 1], [1, 2, 3]]) == pytest.approx(0)

"""`cascade distill` teaches a student, measures it beside its teacher, and refuses what it cannot do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cascade.train.students import open_student


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two questions over four documents."""
    folder = tmp_path / "tiny"
    (folder / "qrels").mkdir(parents=True)
    documents = {"t": "facts about tea", "r": "rain is made of milk", "i": "iron and salt", "w": "wool and silk"}
    queries = {"1": "what is tea", "2": "what is rain made of"}
    for name, texts in (("corpus", documents), ("queries", queries)):
        rows = [json.dumps({"_id": key, "text": text}) for key, text in texts.items()]
        (folder / f"{name}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    for split in ("train", "test"):
        (folder / "qrels" / f"{split}.tsv").write_text("query-id\tcorpus-id\tscore\n1\tt\t1\n2\tr\t1\n")
    return folder


def test_it_tells_what_each_rung_keeps_and_how_fast_it_is(
    run_json: Callable[..., Any], folder: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    teacher, out = tmp_path / "teacher", tmp_path / "out"
    open_student(str(tiny_bert), 32).save_pretrained(str(teacher), create_model_card=False)
    report = run_json(
        *("distill", "--data", folder, "--out", out, "--teacher", teacher, "--ladder", "1"),
        *("--bi-encoder", tiny_bert, "--max-length", 32, "--dev-data", folder),
    )
    assert report == json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert [row["name"] for row in report] == ["teacher", "rung-1"]
    assert all(0 < row["ndcg"]["mean"] <= 1 and row["pairs_per_second"] > 0 for row in report)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--ladder", "six", "expected numbers with commas"),
        ("--lists", "tiny", "expected COLLECTION=COUNT"),
        ("--teacher", "embedded:cross-encoder=much", "expected TEACHER=WEIGHT"),
        ("--teacher", "embedded:cross-encoder=0", "expected TEACHER=WEIGHT"),
    ],
)
def test_options_that_cannot_be_read_are_refused(
    run: Callable[..., Any], folder: Path, tmp_path: Path, option: str, value: str, message: str
) -> None:
    found = run(
        "distill", "--data", folder, "--out", tmp_path / "out", "--teacher", "embedded:cross-encoder", option, value
    )
    assert found.exit_code == 2
    assert message in found.stderr


def test_a_score_file_that_is_not_there_is_told(run: Callable[..., Any], folder: Path, tmp_path: Path) -> None:
    found = run("distill", "--data", folder, "--out", tmp_path / "out", "--teacher", tmp_path / "strong.trec")
    assert found.exit_code != 0
    assert "expected a file of scores" in found.stderr


def test_a_path_may_have_an_equals_sign(run: Callable[..., Any], folder: Path, tmp_path: Path) -> None:
    (tmp_path / "rate=high.trec").write_text("nobody Q0 knows 1 1.0 this\n", encoding="utf-8")
    found = run("distill", "--data", folder, "--out", tmp_path / "out", "--teacher", tmp_path / "rate=high.trec")
    assert "no question has documents that all teachers score" in found.stderr

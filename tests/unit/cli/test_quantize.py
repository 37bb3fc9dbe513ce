"""`cascade quantize` writes down what int8 costs a model, where `auto` finds it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cascade.inference.towers.records import FILE, find, read
from cascade.rerank.listwise.joint_model import JointModel
from cascade.weights import resolver


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of this test alone."""
    monkeypatch.setattr(resolver, "_cache_root", tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """Two questions over four documents."""
    folder = tmp_path / "tiny"
    (folder / "qrels").mkdir(parents=True)
    documents = {
        "t": "facts about tea",
        "r": "rain is made of milk",
        "i": "iron and salt",
        "w": "what wool and silk is",
    }
    queries = {"1": "what is tea", "2": "what is rain made of"}
    for name, texts in (("corpus", documents), ("queries", queries)):
        rows = [json.dumps({"_id": key, "text": text}) for key, text in texts.items()]
        (folder / f"{name}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n1\tt\t1\n2\tr\t1\n", encoding="utf-8")
    return folder


def test_the_record_is_printed_and_kept_where_auto_finds_it(
    run_json: Callable[..., Any], cache: Path, collection: Path, tiny_cross_encoder: Path
) -> None:
    found = run_json("quantize", tiny_cross_encoder, "--collection", collection, "--backend", "onnx-int8")
    (measured,) = found["collections"]
    assert (found["kind"], found["backend"]) == ("cross_encoder", "onnx-int8")
    assert (measured["collection"], measured["split"], measured["queries"]) == ("tiny", "test", 2)
    assert measured["low"] <= measured["loss"] <= measured["high"]
    record = find(found["weights"], "onnx-int8")
    assert record is not None
    assert record.acceptable == found["acceptable"]
    assert str(cache) in found["file"]


@pytest.mark.parametrize(
    ("model", "kind", "options"),
    [("tiny_multi_vector", "late_interaction", ()), ("tiny_bert", "bi_encoder", ("--kind", "bi_encoder"))],
)
def test_other_kinds_of_models_are_measured_too(
    run_json: Callable[..., Any],
    cache: Path,
    collection: Path,
    request: pytest.FixtureRequest,
    model: str,
    kind: str,
    options: tuple[str, ...],
) -> None:
    folder = request.getfixturevalue(model)
    found = run_json("quantize", folder, "--collection", collection, "--backend", "onnx-int8", "--depth", 3, *options)
    assert found["kind"] == kind
    assert 0 < found["collections"][0]["ndcg"] <= 1


def test_a_joint_model_with_a_small_loss_runs_in_eight_bits_from_then_on(
    run_json: Callable[..., Any],
    cache: Path,
    collection: Path,
    joint_folders: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = joint_folders[0]
    found = run_json("quantize", folder, "--collection", collection)
    assert (found["kind"], found["backend"]) == ("joint", "native-int8")
    assert found["collections"][0]["queries"] == 2
    for able in (True, False):
        monkeypatch.setattr("cascade.rerank.listwise.choice.available", lambda able=able: able)
        model = JointModel(str(folder), device="cpu")
        model.ensure_loaded()
        assert model.weights == found["weights"]
        assert (model.backend == "native-int8") == (able and found["acceptable"])


def test_a_record_beside_the_model_goes_where_the_model_goes(
    run: Callable[..., Any], cache: Path, collection: Path, tiny_cross_encoder: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for path in tiny_cross_encoder.iterdir():
        (model / path.name).symlink_to(path)
    found = run("quantize", model, "--collection", collection, "--backend", "onnx-int8", "--save-beside")
    assert found.exit_code == 0, found.stderr
    (record,) = read(model / FILE)
    assert record.collections[0].collection == "tiny"
    assert "loss" in found.stdout
    assert ("may take" in found.stdout) == record.acceptable
    assert not (cache / "backends" / "records").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--split", "a", "--split", "b"), "--split was given 2 times, expected once, or 1 times"),
        (("--split", "dev"), "no split or judgments file"),
        (("--run", "nothing.trec"), "nothing.trec"),
        (("--backend", "torch-bf16"), "torch-bf16"),
        (("--queries", "1"), "--queries"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    run: Callable[..., Any],
    cache: Path,
    collection: Path,
    tiny_cross_encoder: Path,
    options: tuple[str, ...],
    message: str,
) -> None:
    found = run("quantize", tiny_cross_encoder, "--collection", collection, *options)
    assert found.exit_code != 0
    assert message in found.stderr


def test_a_model_that_is_not_there_is_told(run: Callable[..., Any], cache: Path, collection: Path) -> None:
    found = run("quantize", "./nothing", "--collection", collection)
    assert found.exit_code != 0
    assert "found nothing at" in found.stderr


def test_a_file_of_something_else_is_not_overwritten(
    run: Callable[..., Any], cache: Path, collection: Path, tiny_cross_encoder: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for path in tiny_cross_encoder.iterdir():
        (model / path.name).symlink_to(path)
    (model / FILE).write_text("notes", encoding="utf-8")
    found = run("quantize", model, "--collection", collection, "--backend", "onnx-int8", "--save-beside")
    assert found.exit_code == 2
    assert (model / FILE).read_text(encoding="utf-8") == "notes"

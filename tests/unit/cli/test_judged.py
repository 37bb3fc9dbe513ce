"""`cascade calibrate` and `cascade tune` fit a cascade file to judged queries, through a real server and model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cascade.config import CrossEncoderConfig, Platt, load

TOPICS = {
    "an apple": "An apple is a sweet fruit that grows on trees.",
    "a river": "A river is a large stream of water that flows to the sea.",
    "an engine": "An engine is a machine that turns fuel into motion.",
    "a violin": "A violin is an instrument with four strings, played with a bow.",
    "a desert": "A desert is dry land where very little rain falls.",
    "a comet": "A comet is a body of ice and dust that orbits the sun.",
    "a bridge": "A bridge is a structure that carries a road over water.",
    "a glacier": "A glacier is a mass of ice that moves slowly down a valley.",
    "a lantern": "A lantern is a lamp in a case that protects its flame.",
    "a falcon": "A falcon is a bird of prey with long pointed wings.",
    "a cathedral": "A cathedral is the main church of a bishop.",
    "a volcano": "A volcano is a mountain from which lava comes.",
}
OTHER = "figures, sums, dates, names, places, stamps, pages, drawers, shelves, desks and pencils that nobody counts"
CASCADE = """\
# ours
retrieve: [{kind: bm25, depth: 20}]
fuse: {kind: rrf, depth: 20}
tiers:
  - {kind: cross_encoder, depth: 14}  # the judge
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of each topic one definition, and thirteen texts that only name it."""
    folder = tmp_path_factory.mktemp("collections") / "things"
    (folder / "qrels").mkdir(parents=True)
    documents, queries, qrels = [], [], ["query-id\tcorpus-id\tscore"]
    for number, (thing, definition) in enumerate(TOPICS.items()):
        noun = thing.split()[1]
        documents.append({"_id": f"{noun}-0", "title": "", "text": definition})
        documents += [
            {
                "_id": f"{noun}-{n}",
                "title": "",
                "text": f"Invoice {n}{number} lists {noun} among {OTHER}.",
            }
            for n in range(1, 14)
        ]
        queries.append({"_id": f"q{number}", "text": f"what is {thing}"})
        qrels.append(f"q{number}\t{noun}-0\t1")
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, documents)), encoding="utf-8")
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)), encoding="utf-8")
    (folder / "qrels" / "train.tsv").write_text("\n".join(qrels), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def cascade(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(CASCADE, encoding="utf-8")
    return path


def test_calibrate_writes_a_curve_with_its_evidence_and_draws_it(
    run_json: Callable[..., Any], folder: Path, data_dir: Path, cascade: Path, tmp_path: Path
) -> None:
    options = ("--collection", folder, "--cascade", cascade, "--data-dir", data_dir, "--diagram", tmp_path / "d.png")
    told = run_json("calibrate", *options)
    tier = load(cascade).tiers[0]
    assert isinstance(tier, CrossEncoderConfig)
    assert isinstance(tier.calibration, Platt)
    assert tier.calibration.evidence["collection"] == "things"
    assert (told["evidence"]["queries"], told["evidence"]["relevant"]) == (12, 12)
    assert told["after"]["brier"]["mean"] < told["base_rate"]["brier"]["mean"]
    assert "# the judge" in cascade.read_text(encoding="utf-8")
    assert (tmp_path / "d.png").stat().st_size > 1000
    answer = run_json(
        *("rank", "what is a comet", "--document", TOPICS["a comet"], "--document", "Invoice 7 lists comet."),
        *("--cascade", "mine", "--local", "--cascades", _folder_of(cascade), "--min-probability", 0),
    )
    likely = [result["probability"] for result in answer["results"]]
    assert len(likely) == 2
    assert likely == sorted(likely, reverse=True)


def test_tune_writes_what_reads_less_and_loses_nothing(
    run_json: Callable[..., Any], folder: Path, data_dir: Path, cascade: Path
) -> None:
    options = ("--collection", folder, "--cascade", cascade, "--data-dir", data_dir, "--margin", 0.1)
    told = run_json("tune", *options)
    assert told["written"] == str(cascade)
    assert told["live"]["tokens"] < told["full_depth"]["tokens"]
    assert told["live"]["difference"]["low"] > -0.1
    step = next(s for s in reversed(told["steps"]) if s["passed"])
    assert told["live"]["difference"]["mean"] == pytest.approx(step["difference"]["mean"], abs=0.02)
    assert told["live"]["tokens"] == pytest.approx(step["tokens"], rel=0.1)
    tier = load(cascade).tiers[0]
    assert tier.depth < 14 or (isinstance(tier, CrossEncoderConfig) and tier.until is not None)
    assert "# ours" in cascade.read_text(encoding="utf-8")


def test_a_cascade_by_name_needs_a_file_to_write(run: Callable[..., Any], folder: Path) -> None:
    result = run("tune", "--collection", folder, "--cascade", "fast")
    assert result.exit_code == 2
    assert "--out" in result.stderr


def test_a_tier_that_reads_documents_together_cannot_be_fitted(
    run: Callable[..., Any], folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "joint.yaml"
    path.write_text("retrieve: [{kind: bm25}]\ntiers: [{kind: joint, depth: 10}]\n", encoding="utf-8")
    for command in ("calibrate", "tune"):
        result = run(command, "--collection", folder, "--cascade", path, "--tier", "listwise")
        assert result.exit_code == 2
        assert "does not score each document by itself" in result.stderr


def _folder_of(cascade: Path) -> Path:
    """A folder of cascades whose default tenant has this one."""
    folder = cascade.parent / "cascades" / "default"
    folder.mkdir(parents=True)
    (folder / cascade.name).write_text(cascade.read_text(encoding="utf-8"), encoding="utf-8")
    return folder.parent

"""The example cascades are read as the server reads them, and name models that exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from cascade.config import load
from cascade.weights.resolver import EMBEDDED, PREFIX
from cascade_server.cascade_files import read_cascades

FILES = sorted((Path(__file__).parents[2] / "deploy" / "cascades").glob("*/*.yaml"))


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def file(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_an_example_says_what_it_is_for(file: Path) -> None:
    assert load(file).description
    assert file.read_text(encoding="utf-8").startswith("# ")


def test_an_example_names_embedded_models_that_exist(file: Path) -> None:
    config = load(file)
    models = [m for stage in (*config.retrieve, *config.tiers) if (m := getattr(stage, "model", None))]
    assert {model.removeprefix(PREFIX) for model in models} <= set(EMBEDDED)


def test_the_server_reads_the_folder_of_examples(deploy: Path) -> None:
    tenants = read_cascades(deploy / "cascades", {})
    assert {name: set(cascades) for name, cascades in tenants.items()} == {"default": {file.stem for file in FILES}}


def test_every_kind_of_stage_is_shown_by_an_example() -> None:
    shown = {s.kind for config in map(load, FILES) for s in (*config.retrieve, config.fuse, *config.tiers)}
    assert shown == {
        "bm25",
        "dense",
        "rrf",
        "weighted",
        "cross_encoder",
        "late_interaction",
        "joint",
        "likelihood",
        "logits",
        "permutation",
        "setwise",
        "tournament",
    }

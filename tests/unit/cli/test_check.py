"""Checking cascade files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_GOOD = """
description: three steps
retrieve:
  - {kind: bm25, depth: 50}
  - {kind: dense, model: some/encoder}
budget_ms: 200
tiers:
  - {kind: cross_encoder, name: cross, depth: 20, max_time_ms: 80, model: ./nowhere}
"""


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.yaml"
    path.write_text(_GOOD)
    return path


def test_a_valid_file_is_told_as_a_plan(run_json: Callable[..., Any], good: Path) -> None:
    (found,) = run_json("check", good)["files"]
    assert found["valid"]
    plan = found["plan"]
    assert (plan["description"], plan["budget_ms"], len(plan["config_hash"])) == ("three steps", 200.0, 12)
    columns = ("stage", "step", "kind", "depth", "model", "max_time_ms")
    assert [tuple(stage[column] for column in columns) for stage in plan["stages"]] == [
        ("bm25", "retrieve", "bm25", 50, "", None),
        ("dense", "retrieve", "dense", 100, "some/encoder", None),
        ("fuse", "fuse", "rrf", 100, "", None),
        ("cross", "rerank", "cross_encoder", 20, "./nowhere", 80.0),
    ]


def test_a_plan_for_people_shows_every_stage(run: Callable[..., Any], good: Path) -> None:
    result = run("check", good)
    assert result.exit_code == 0
    for word in ("valid", "200 ms", "three steps", "bm25", "dense", "fuse", "cross_encoder", "80 ms"):
        assert word in result.stdout


def test_every_problem_of_every_file_is_listed(run: Callable[..., Any], good: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("retreive: []\nbudget_ms: -1\n")
    result = run("check", bad, good, tmp_path / "absent.yaml", "--json")
    assert result.exit_code == 2
    found = json.loads(result.stdout)["files"]
    assert [f["valid"] for f in found] == [False, True, False]
    problems = "\n".join(found[0]["problems"])
    for place in ("retreive: unknown key", "retrieve:", "budget_ms:"):
        assert place in problems
    assert "cannot be read" in found[2]["problems"][0]
    people = run("check", bad)
    assert people.exit_code == 2
    assert "retreive: unknown key" in people.stderr


def test_a_model_that_is_not_there_is_found_by_loading(run: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        f"retrieve: [{{kind: bm25}}]\ntiers: [{{kind: cross_encoder, depth: 5, model: {tmp_path}/nowhere}}]\n"
    )
    assert run("check", path).exit_code == 0
    result = run("check", path, "--load", "--json")
    assert result.exit_code == 2
    (problem,) = json.loads(result.stdout)["files"][0]["problems"]
    assert "nowhere" in problem

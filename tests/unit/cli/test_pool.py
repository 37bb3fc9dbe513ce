"""`cascade pool` reads what `cascade eval` printed for several collections."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def report(path: Path, name: str) -> Path:
    """Twelve queries that the tier ranks better than the retriever."""
    values = {"bm25": 0.5, "tier": 0.75}
    stages = [{"stage": s, "per_query": {"AP": {f"q{i}": v for i in range(12)}}} for s, v in values.items()]
    facts = {"collection": name, "split": "test", "queries": 12, "compared_by": "AP", "stages": stages}
    path.write_text(json.dumps(facts), encoding="utf-8")
    return path


def test_two_collections_are_tested_together(
    run: Callable[..., Any], run_json: Callable[..., Any], tmp_path: Path
) -> None:
    paths = [report(tmp_path / f"{name}.json", name) for name in ("one", "two")]
    found = run_json("pool", *paths)
    assert (found["queries"], found["stages"][1]["against_previous"]["delta"]) == (24, 0.25)
    assert found["stages"][1]["against_previous"]["p"] < 0.001
    shown = " ".join(run("pool", *paths).stdout.split())
    assert "+0.250" in shown
    assert "1: one (test), 12 queries; 2: two (test), 12 queries" in shown


def test_a_file_that_is_no_report_is_bad_input(run: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[]", encoding="utf-8")
    result = run("pool", tmp_path / "x.json")
    assert result.exit_code == 2
    assert "has no values per query" in result.stderr

"""`cascade eval --html` leaves a page of what it measured: one cascade, or two against each other."""

import json
import re
from pathlib import Path
from typing import Any

import structlog
import typer
from typer.testing import CliRunner

from cascade.cli.eval import eval_command

PLAIN = "{retrieve: [{kind: bm25, depth: 2}], fuse: {kind: rrf, depth: 2}, tiers: []}"
KEPT = "{retrieve: [{kind: bm25, depth: 2}], fuse: {kind: rrf, depth: 2}, tiers: [{kind: identity, depth: 2}]}"


def page(tmp_path: Path, *arguments: str) -> dict[str, Any]:
    """The data of the page that the command leaves of the reading test."""
    (tmp_path / "plain.yaml").write_text(PLAIN, encoding="utf-8")
    (tmp_path / "kept.yaml").write_text(KEPT, encoding="utf-8")
    app = typer.Typer()
    app.command()(eval_command)
    file = tmp_path / "reports" / "page.html"
    given = ["--collection", "reading", "--limit-queries", "5", "--data-dir", str(tmp_path), "--html", str(file)]
    result = CliRunner().invoke(app, [*given, *arguments], catch_exceptions=False)
    structlog.reset_defaults()
    assert result.exit_code == 0
    block = re.search(r'id="data">(.*?)</script>', file.read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    found: dict[str, Any] = json.loads(block[1])
    return found


def test_a_cascades_page_holds_every_query_and_stage(tmp_path: Path) -> None:
    found = page(tmp_path, "--cascade", str(tmp_path / "plain.yaml"), "--json")
    assert [stage["label"] for stage in found["stages"]] == ["bm25", "fuse"]
    assert (found["measure"], len(found["queries"]), len(found["documents"])) == ("right", 5, 10)
    assert [grade for _, grade in found["queries"][0]["stages"][0]["top"]] == [0, 1]


def test_two_cascades_share_a_page(tmp_path: Path) -> None:
    found = page(tmp_path, "--compare", str(tmp_path / "plain.yaml"), str(tmp_path / "kept.yaml"))
    assert found["cascades"] == ["plain", "kept"]
    assert found["stages"][-1]["label"] == "kept: identity"


def test_a_folder_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(eval_command)
    result = CliRunner().invoke(app, ["--collection", "reading", "--cascade", "fast", "--html", str(tmp_path)])
    assert result.exit_code == 2
    assert "is a directory" in " ".join(result.stderr.replace("│", "").split())

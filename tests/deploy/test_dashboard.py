"""The dashboard's JSON is what its code says, and has a shape that Grafana can show."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def panels(dashboard: ModuleType) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(dashboard.render())["panels"]
    return found


def test_the_committed_json_is_what_the_code_says(dashboard: ModuleType) -> None:
    assert dashboard.main(["--check"]) == 0


def test_a_stale_file_fails_the_check_and_is_left_alone(
    dashboard: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stale = tmp_path / "cascade.json"
    stale.write_text("{}")
    assert dashboard.main(["--check"], file=stale) == 1
    assert stale.read_text() == "{}"
    assert str(stale) in capsys.readouterr().err


def test_a_missing_file_fails_the_check(dashboard: ModuleType, tmp_path: Path) -> None:
    assert dashboard.main(["--check"], file=tmp_path / "cascade.json") == 1


def test_writing_makes_the_file_fresh(dashboard: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "cascade.json"
    assert dashboard.main([], file=file) == 0
    assert dashboard.main(["--check"], file=file) == 0


def test_every_panel_asks_something_and_says_what_it_shows(panels: list[dict[str, Any]]) -> None:
    for panel in (p for p in panels if p["type"] != "row"):
        assert panel["title"]
        assert panel["description"]
        assert panel["targets"]
        names = [target["refId"] for target in panel["targets"]]
        assert "" not in names
        assert len(set(names)) == len(names)


def test_panels_have_ids_of_their_own(panels: list[dict[str, Any]]) -> None:
    ids = [panel["id"] for panel in panels]
    assert all(ids)
    assert len(set(ids)) == len(ids)


def test_panels_stay_on_the_grid_and_do_not_overlap(panels: list[dict[str, Any]]) -> None:
    boxes = [(p["gridPos"]["x"], p["gridPos"]["y"], p["gridPos"]["w"], p["gridPos"]["h"]) for p in panels]
    assert all(x + width <= 24 for x, _, width, _ in boxes)
    for (x, y, width, height), (x2, y2, width2, height2) in combinations(boxes, 2):
        assert x + width <= x2 or x2 + width2 <= x or y + height <= y2 or y2 + height2 <= y


def test_tenant_and_cascade_can_be_chosen(dashboard: ModuleType) -> None:
    variables = json.loads(dashboard.render())["templating"]["list"]
    assert [v["name"] for v in variables] == ["datasource", "tenant", "cascade"]

"""Each load test, in short and without models: what it reports and counts, never how fast anything was."""

from __future__ import annotations

import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

from cascade.cli.app import app

WORDS = "description: words only\nretrieve: [{kind: bm25}]\n"

Measure = Callable[..., dict[str, Any]]


@pytest.fixture
def measure(tmp_path: Path) -> Measure:
    """Runs `cascade load SCENARIO --quick` on a cascade without models, and reads the JSON that it prints."""

    def call(scenario: str, *arguments: object) -> dict[str, Any]:
        cascade = tmp_path / "words.yaml"
        cascade.write_text(WORDS)
        given = ["load", scenario, "--quick", "--json", "--cascade", str(cascade), *map(str, arguments)]
        result = CliRunner().invoke(app, given)
        structlog.reset_defaults()
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.stderr
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    return call


def phases(found: dict[str, Any], label: str) -> list[dict[str, Any]]:
    return [phase for phase in found["evidence"]["phases"] if phase["label"] == label]


def total(phase: dict[str, Any], flow: str) -> int:
    return sum(phase["flows"][flow]["outcomes"].values())


def test_isolation_compares_the_victim_with_itself(measure: Measure) -> None:
    found = measure("isolation", "--seed", 3)
    assert found["scenario"] == "isolation"
    assert found["victim_p95_ratio"] > 0
    (alone,), (beside,) = phases(found, "victim alone"), phases(found, "victim beside aggressor")
    assert total(alone, "victim") == total(beside, "victim") > 0
    assert total(beside, "aggressor") > total(beside, "victim")
    assert "aggressor" not in alone["flows"]
    refused = beside["flows"]["aggressor"]
    assert found["aggressor_refused"] == refused["outcomes"]["refused"] == sum(refused["refused_because"].values())
    assert found["evidence"]["aggressor_quota"]["max_concurrent_requests"] == 1
    # How many requests fit into a second depends on the machine.
    assert found["valid"] is (not found["problems"])


def test_overload_compares_with_capacity_and_with_a_plain_queue(measure: Measure, tmp_path: Path) -> None:
    page = tmp_path / "pages" / "overload.html"
    found = measure("overload", "--html", page)
    assert {
        "goodput_ratio",
        "p99_ratio",
        "fifo_over_ours",
        "refusal_p99_ms",
        "recovery_seconds",
        "valid",
        "problems",
    } <= found.keys()
    assert found["goodput_ratio"] > 0
    assert found["peak_goodput"] > 0
    (normal,), (double,) = phases(found, "80 % load"), phases(found, "2x capacity")
    rate = found["evidence"]["capacities_per_second"][0]
    assert normal["flows"]["searcher"]["offered_per_second"] == pytest.approx(0.8 * rate)
    assert double["flows"]["searcher"]["offered_per_second"] == pytest.approx(2.0 * rate)
    assert double["flows"]["searcher"]["answered_seconds"]["count"] > 0
    assert found["refused"] == double["flows"]["searcher"]["outcomes"]["refused"]
    assert len(phases(found, "3x capacity, then half of it")) == len(found["evidence"]["recovery_seconds"]) == 2
    assert found["evidence"]["servers"]["fifo"]["queue"] == "fifo"
    assert found["valid"] is (not found["problems"])
    tags = Tags(page.read_text(encoding="utf-8"))
    assert not {"src", "href", "action"} & tags.attributes
    assert {"counts", "times", "spread", "data"} <= tags.ids


def test_reload_counts_changes_and_watches_every_process(measure: Measure) -> None:
    found = measure("reload", "--changes", 6, "--processes", 2)
    assert found["changes"] == 6
    assert found["errors"] == 0, found["evidence"]["error_list"]
    assert found["wrong_versions"] == 0, found["evidence"]["wrong_version_list"]
    assert found["processes"] == 2
    assert {n: each["count"] for n, each in found["evidence"]["effect_seconds"].items()} == {"server0": 6, "server1": 6}
    loaded = sum(total(phase, flow) for phase in found["evidence"]["phases"] for flow in phase["flows"])
    assert found["answers"] >= loaded + 2 * 6
    assert found["effect_p50_seconds"] <= found["effect_p99_seconds"] <= found["effect_max_seconds"] * 1.001
    assert found["valid"] is False


class Tags(HTMLParser):
    """The attributes and ids of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.attributes: set[str] = set()
        self.ids: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes |= {name for name, _ in attrs}
        self.ids |= {value for name, value in attrs if name == "id" and value}

"""`cascade bench` prints what a bench found, as JSON for programs, and leaves a page."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cascade.bench import catalogue
from cascade.bench.machine import describe
from cascade.bench.measure import Contender, interleave
from cascade.bench.options import Options
from cascade.bench.result import Result
from cascade.bench.threads import limit

NAMES = ("cross-encoder", "bi-encoder", "late-interaction", "listwise", "bm25", "dense", "server", "backends")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Options]]:
    """What benches were asked for, each of which sorts a few numbers in two ways."""
    asked: list[tuple[str, Options]] = []

    def run(name: str, options: Options, tell: Callable[[str], None]) -> Result:
        asked.append((name, options))
        ours = Contender("backwards", "1", lambda: sorted(range(100), reverse=True))
        peer = Contender("forwards", "2", lambda: sorted(range(100)))
        measured = interleave(ours, [peer], units=100, unit="numbers/s", rounds=1, tell=tell)
        return Result.of(name, measured, quality={"sorted": True}, machine=describe(options))

    monkeypatch.setattr(catalogue, "run", run)
    environment: dict[str, str] = {}
    limit(environment, 1)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)  # which the command sets too, and nobody would set back
    return asked


def test_every_bench_has_a_command(run: Callable[..., Any]) -> None:
    shown = run("bench", "--help").stdout
    assert all(name in shown for name in (*NAMES, "all"))
    assert tuple(catalogue.BENCHES) == NAMES


def test_a_bench_prints_nothing_but_json(
    run: Callable[..., Any], told: list[tuple[str, Options]], tmp_path: Path
) -> None:
    page = tmp_path / "pages" / "page.html"
    done = run("bench", "bm25", "--quick", "--threads", 1, "--json", "--html", page)
    found = json.loads(done.stdout)
    assert (found["name"], found["peers"][0]["name"], found["quality"]) == ("bm25", "forwards", {"sorted": True})
    assert "<title>cascade bench</title>" in page.read_text(encoding="utf-8")
    ((name, options),) = told
    assert (name, options.quick, options.rounds) == ("bm25", True, 2)


def test_people_get_a_table(run: Callable[..., Any], told: list[tuple[str, Options]]) -> None:
    done = run("bench", "dense", "--threads", 1)
    assert "forwards" in done.stdout
    assert told[0][1].rounds == 7


def test_too_few_rounds_are_bad_input(run: Callable[..., Any], told: list[tuple[str, Options]]) -> None:
    done = run("bench", "dense", "--threads", 1, "--rounds", 3)
    assert done.exit_code == 2
    assert not told

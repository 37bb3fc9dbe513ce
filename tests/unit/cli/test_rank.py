"""Ranking from the command line, through a server and in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_ASK = (
    "rank",
    "red fox",
    "--document",
    "a fox",
    "--document",
    "the red fox",
    "--document",
    "none",
    "--cascade",
    "words",
)


@pytest.fixture(params=["server", "local"])
def where(request: pytest.FixtureRequest, cascades: Path, tmp_path: Path) -> list[str]:
    """The options that say where to rank."""
    if request.param == "server":
        return ["--target", request.getfixturevalue("target")]
    return ["--local", "--cascades", str(cascades), "--data-dir", str(tmp_path)]


def test_an_answer_has_one_shape_wherever_it_comes_from(run_json: Callable[..., Any], where: list[str]) -> None:
    found = run_json(*_ASK, *where)
    assert list(found) == ["query", "cascade", "results", "trace", "degraded", "provenance", "truncations"]
    assert (found["query"], found["cascade"], found["degraded"]) == ("red fox", "words", False)
    assert [list(r) for r in found["results"]] == [["doc_id", "position", "rank", "score", "scored_by"]] * 3
    assert [(r["position"], r["rank"], r["scored_by"]) for r in found["results"]] == [
        (1, 1, "keep"),
        (0, 2, "keep"),
        (2, 3, "fuse"),
    ]
    assert [(t["stage"], t["kind"], t["status"], t["candidates_in"], t["candidates_out"]) for t in found["trace"]] == [
        ("bm25", "bm25", "completed", 3, 3),
        ("fuse", "rrf", "completed", 3, 3),
        ("keep", "identity", "completed", 2, 2),
    ]
    assert list(found["trace"][0])[7:] == [
        "queue_seconds",
        "run_seconds",
        "model",
        "tokens",
        "truncated",
        "scored",
        "repairs",
        "cost",
    ]
    assert sorted(found["provenance"]) == [
        "canary",
        "cascade",
        "cascade_version",
        "config_hash",
        "index_version",
        "models",
    ]


def test_text_and_places_are_printed_when_asked_for(run_json: Callable[..., Any], where: list[str]) -> None:
    found = run_json(*_ASK, *where, "--text", "--explain", "--top-k", 1)
    (result,) = found["results"]
    assert (result["title"], result["text"]) == ("", "the red fox")
    assert [(place["stage"], place["rank"]) for place in result["stages"]] == [("bm25", 1), ("fuse", 1), ("keep", 1)]


def test_a_stream_is_one_object_a_line_and_ends_with_the_answer(
    run: Callable[..., Any], run_json: Callable[..., Any], where: list[str]
) -> None:
    lines = [json.loads(line) for line in run(*_ASK, *where, "--stream", "--json").stdout.splitlines()]
    assert [(u["stage"], u["final"]) for u in lines] == [("bm25", False), ("fuse", False), ("keep", True)]
    assert lines[-1]["results"] == run_json(*_ASK, *where)["results"]


def test_people_see_results_and_what_every_stage_did(run: Callable[..., Any], where: list[str]) -> None:
    result = run(*_ASK, "--document", "[bold]red[/bold]", *where, "--text", "--explain")
    assert result.exit_code == 0
    for word in ("the red fox", "[bold]red[/bold]", "keep", "4→4", "cascade words"):
        assert word in result.stdout
    assert "degraded" not in result.stdout


def test_every_violation_is_told(run: Callable[..., Any], where: list[str]) -> None:
    result = run("rank", " ", "--top-k", 0, "--cascade", "words", *where, "--json")
    assert result.exit_code == 2
    error = json.loads(result.stderr)["error"]
    assert error["code"] == "INVALID_ARGUMENT"
    assert [v["field"] for v in error["violations"]] == ["query", "top_k", "documents"]
    people = run("rank", " ", "--top-k", 0, "--cascade", "words", *where)
    assert "query: is blank" in people.stderr


def test_a_query_that_is_not_valid_text_is_bad_input(run: Callable[..., Any], where: list[str]) -> None:
    result = run("rank", "\udcff", "--document", "x", "--cascade", "words", *where, "--json")
    assert result.exit_code == 2
    (violation,) = json.loads(result.stderr)["error"]["violations"]
    assert violation["field"] == "query"
    assert "not valid UTF-8" in violation["message"]


@pytest.mark.parametrize(
    "mistake", [["--cascade", "nope"], ["--tenant", "nobody"], ["--index", "absent", "--document", "x"]]
)
def test_what_is_not_there_is_bad_input(run: Callable[..., Any], where: list[str], mistake: list[str]) -> None:
    result = run("rank", "x", "--document", "x", "--cascade", "words", *where, *mistake)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_an_index_that_is_not_there_is_bad_input(run: Callable[..., Any], where: list[str]) -> None:
    result = run("rank", "x", "--index", "absent", "--cascade", "words", *where, "--json")
    assert result.exit_code == 2
    assert json.loads(result.stderr)["error"]["code"] == "NOT_FOUND"


def test_no_time_for_tiers_is_an_answer_that_says_so(run: Callable[..., Any], where: list[str]) -> None:
    result = run(*_ASK, *where, "--budget-ms", 0)
    assert result.exit_code == 0
    assert "degraded: keep skipped (no_time)" in result.stdout


def test_info_describes_the_server(run: Callable[..., Any], run_json: Callable[..., Any], target: str) -> None:
    info = run_json("info", "--target", target)
    assert [c["name"] for c in info["cascades"]] == ["fast", "quality", "rerank", "words"]
    people = run("info", "--target", target).stdout
    assert "max_top_k" in people
    assert "bm25 100 → fuse 100 → keep 2" in people


def test_what_a_stage_cost_and_which_version_answered_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    from cascade.cli.output import print_answer
    from cascade_client import Provenance, Ranked, StageStatus, StageTrace

    trace = (
        StageTrace("bm25", "bm25", StageStatus.COMPLETED),
        StageTrace("cross", "cross_encoder", StageStatus.REDUCED, "overloaded", "10 of 50", tokens=900, cost=0.00123),
    )
    made = Provenance("search", "abc", {}, cascade_version=7, canary=True)
    print_answer(Ranked((), trace, True, made), text=False, explain=False)
    shown = capsys.readouterr().out
    assert "0.00123" in shown
    assert "degraded: cross reduced (overloaded): 10 of 50" in shown
    assert "cascade search version 7, the canary (abc)" in shown


def test_nothing_is_said_of_money_where_nothing_has_a_price(capsys: pytest.CaptureFixture[str]) -> None:
    from cascade.cli.output import print_answer
    from cascade_client import Provenance, Ranked, StageStatus, StageTrace

    trace = (StageTrace("bm25", "bm25", StageStatus.COMPLETED),)
    print_answer(Ranked((), trace, False, Provenance("search", "abc", {})), text=False, explain=False)
    shown = capsys.readouterr().out
    assert "cost" not in shown
    assert "version" not in shown

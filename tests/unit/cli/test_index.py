"""Keeping documents from the command line, through a server and in the data folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_LINES = (
    b'{"_id": "a", "title": "Fusion", "text": "joins rankings", "year": 2009}\n'
    b'{"_id": "b", "text": "reads query and document together", "year": 2019}\n'
)


@pytest.fixture(params=["server", "local"])
def where(request: pytest.FixtureRequest, cascades: Path, tmp_path: Path) -> list[str]:
    """The options that say where indexes are."""
    if request.param == "server":
        return ["--target", request.getfixturevalue("target")]
    return ["--local", "--data-dir", str(tmp_path / "data")]


def test_an_index_lives_from_create_to_drop(
    run: Callable[..., Any], run_json: Callable[..., Any], where: list[str], cascades: Path
) -> None:
    created = run_json("index", "create", "notes", *where)
    assert (created["name"], created["documents"], created["dimensions"]) == ("notes", 0, 384)
    assert run("index", "create", "notes", *where).exit_code == 2

    added = run_json("index", "add", "notes", "-", *where, stdin=_LINES)
    assert (added["added"], added["replaced"], added["skipped"]) == (2, 0, 0)
    assert added["index"]["documents"] == 2
    again = run("index", "add", "notes", "-", *where, stdin=_LINES)
    assert again.stdout.startswith("0 added, ")

    local = ["--cascades", str(cascades)] if "--local" in where else []
    found = run_json("rank", "joins", "--index", "notes", "--cascade", "words", "--filter", "year<2010", *where, *local)
    assert [r["doc_id"] for r in found["results"]] == ["a"]
    assert "position" not in found["results"][0]
    assert found["provenance"]["index_version"]

    assert run_json("index", "show", "notes", *where)["documents"] == 2
    assert "notes" in [i["name"] for i in run_json("index", "list", *where)["indexes"]]
    assert "notes" in run("index", "list", *where).stdout
    assert run_json("index", "delete", "notes", "a", "absent", *where)["deleted"] == 1
    assert run_json("index", "drop", "notes", *where) == {"dropped": "notes"}
    gone = run("index", "show", "notes", *where, "--json")
    assert gone.exit_code == 2
    assert json.loads(gone.stderr)["error"]["code"] == "NOT_FOUND"


def test_token_vectors_are_kept_where_that_is_asked_for_and_their_size_is_shown(
    run: Callable[..., Any], run_json: Callable[..., Any], tiny_multi_vector: Path, tmp_path: Path
) -> None:
    where = ["--local", "--data-dir", str(tmp_path / "data")]
    created = run_json("index", "create", "notes", "--token-vectors", str(tiny_multi_vector), *where)
    assert (created["token_vectors"], created["token_vector_bytes_per_document"]) == (str(tiny_multi_vector), 0.0)
    run_json("index", "add", "notes", "-", *where, stdin=_LINES)
    size = run_json("index", "show", "notes", *where)["token_vector_bytes_per_document"]
    assert size > 100
    for command in (("show", "notes"), ("list",)):
        assert f"{size:,.0f} bytes a document" in " ".join(run("index", *command, *where).stdout.split())
    ids = run_json("index", "show", "notes", *where)["token_id_bytes_per_document"]
    assert ids > 12
    assert f"token ids {ids:,.0f} bytes a document" in " ".join(run("index", "show", "notes", *where).stdout.split())


def test_one_bad_line_refuses_all_and_nothing_is_asked_of_the_index(run: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_bytes(_LINES + b"{\n" + b'{"_id": "a", "text": "twice"}\n')
    result = run("index", "add", "notes", path, "--target", "localhost:1", "--json")
    assert result.exit_code == 2
    error = json.loads(result.stderr)["error"]
    assert [v["field"] for v in error["violations"]] == [f"{path}:3", f"{path}:4"]


def test_bad_lines_can_be_left_out_and_are_counted(run: Callable[..., Any], where: list[str]) -> None:
    assert run("index", "create", "loose", *where).exit_code == 0
    result = run("index", "add", "loose", "-", "--skip-bad", *where, stdin=_LINES + b"{\n")
    assert result.exit_code == 0
    assert "2 added, 0 replaced, 1 lines left out" in result.stdout
    assert "<stdin>:3" in result.stderr


def test_a_document_that_is_too_long_is_named_by_its_line(
    run: Callable[..., Any], run_json: Callable[..., Any], where: list[str], tmp_path: Path
) -> None:
    run_json("index", "create", "long", *where)
    path = tmp_path / "c.jsonl"
    path.write_bytes(_LINES + json.dumps({"_id": "c", "text": "x" * 1_000_001}).encode())
    result = run("index", "add", "long", path, *where, "--json")
    assert result.exit_code == 2
    assert [v["field"] for v in json.loads(result.stderr)["error"]["violations"]] == [f"{path}:3 text"]
    assert run_json("index", "show", "long", *where)["documents"] == 0


def test_a_name_that_cannot_be_one_is_bad_input(run: Callable[..., Any], where: list[str]) -> None:
    result = run("index", "create", "../outside", *where, "--json")
    assert result.exit_code == 2
    assert [v["field"] for v in json.loads(result.stderr)["error"]["violations"]] == ["name"]


def test_a_file_that_is_not_there_is_bad_input(run: Callable[..., Any], tmp_path: Path) -> None:
    assert run("index", "add", "notes", tmp_path / "absent.jsonl").exit_code == 2

"""The program as a whole: help, version, and how it fails."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from cascade.cli.failure import Reporting, failure_of
from cascade.errors import CascadeError, InvalidInputError, ModelLoadError, OverloadedError, Violation

_HELP = """
import sys
from cascade.cli.app import app
try:
    app(["--help"])
except SystemExit as ended:
    assert ended.code == 0
heavy = {"torch", "transformers", "faiss", "lance", "sentence_transformers", "grpc", "pydantic", "numpy"}
print(sorted(heavy & sys.modules.keys()), file=sys.stderr)
"""


def test_help_loads_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", _HELP], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    for command in ("quickstart", "serve", "rank", "index", "check", "info", "eval", "calibrate", "tune", "train"):
        assert f" {command} " in done.stdout


def test_the_version_is_the_distributions(run: Callable[..., Any]) -> None:
    assert run("--version").stdout.strip() == version("cascade-ranking")


def test_a_mistyped_option_is_an_error_object_too(run: Callable[..., Any]) -> None:
    result = run("info", "--json", "--bogus")
    assert result.exit_code == 2
    assert result.stdout == ""
    error = json.loads(result.stderr)["error"]
    assert error["code"] == "USAGE"
    assert "--bogus" in error["message"]


def test_a_server_that_is_not_there_is_a_failure(run: Callable[..., Any]) -> None:
    result = run("info", "--target", "localhost:1", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stderr)["error"]["code"] == "UNAVAILABLE"


def test_a_mistake_of_the_program_is_not_reported_as_the_users() -> None:
    assert failure_of(AssertionError("a bug")) is None


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (InvalidInputError([Violation("query", "is blank")]), "INVALID_ARGUMENT", 2),
        (ModelLoadError("m", "is not there"), "FAILED_PRECONDITION", 1),
        (OSError("the disk is full"), "OS", 1),
        (CascadeError("something else"), "INTERNAL", 1),
    ],
)
def test_bad_input_and_failures_have_different_statuses(error: Exception, code: str, status: int) -> None:
    failure = failure_of(error)
    assert failure is not None
    assert (failure.code, failure.exit_status) == (code, status)


def test_an_overloaded_store_says_when_to_come_back() -> None:
    failure = failure_of(OverloadedError("the index", 1.5))
    assert failure is not None
    assert failure.to_json()["error"]["retry_after_seconds"] == 1.5


def test_an_interrupted_command_ends_with_130() -> None:
    program = typer.Typer(cls=Reporting)

    @program.command()
    def wait() -> None:
        raise KeyboardInterrupt

    @program.command()
    def other() -> None:
        return

    assert CliRunner().invoke(program, ["wait"]).exit_code == 130
    assert CliRunner().invoke(program, ["other"]).exit_code == 0


def test_settings_out_of_bounds_are_named(run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASCADE_MAX_TOP_K", "0")
    result = run("rank", "x", "--document", "x", "--local", "--json")
    assert result.exit_code == 2
    assert "max_top_k" in json.loads(result.stderr)["error"]["message"]


def test_a_servers_folders_are_its_own(run: Callable[..., Any], tmp_path: Path) -> None:
    result = run("index", "list", "--data-dir", tmp_path)
    assert result.exit_code == 2
    assert "--local" in result.stderr


def test_serving_broken_cascades_ends_with_status_2(run: Callable[..., Any], tmp_path: Path) -> None:
    broken = tmp_path / "default" / "a.yaml"
    broken.parent.mkdir()
    broken.write_text("retrieve: []")
    result = run("serve", "--port", 0, "--cascades", tmp_path, "--data-dir", tmp_path)
    assert result.exit_code == 2

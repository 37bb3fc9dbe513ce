"""What is logged holds no text of a query or a document."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from typing import Literal

import pytest
import structlog

from cascade_server.logs import configure


class Pipe(io.StringIO):
    """What each write brought."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []

    def write(self, text: str) -> int:
        self.pieces.append(text)
        return len(text)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_traceback_shows_where_and_not_with_which_text(
    log_format: Literal["json", "console"], capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(text: str) -> None:
        raise OSError(len(text))

    configure(log_format)
    try:
        fail("".join(["a ", "secret"]))
    except OSError as error:
        structlog.get_logger().error("stage_failed", exc_info=error)
    said = capsys.readouterr().err
    assert "stage_failed" in said
    assert "fail" in said
    assert "a secret" not in said


def test_a_line_of_the_log_is_written_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several workers write to the same pipe: a line in two pieces is mixed with another's."""
    pipe = Pipe()
    monkeypatch.setattr(sys, "stderr", pipe)
    configure()
    structlog.get_logger().info("ready")
    structlog.get_logger().info("draining")
    assert [json.loads(piece)["event"] for piece in pipe.pieces] == ["ready", "draining"]
    assert all(piece.endswith("\n") for piece in pipe.pieces)

"""What is logged holds no text of a query or a document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import pytest
import structlog

from cascade_server.logs import configure


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

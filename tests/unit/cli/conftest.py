"""Runs commands, and a real server of cascades that need no model."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

from cascade.cli.app import app
from cascade_server.app import Server
from cascade_server.settings import Settings

WORDS = "description: words only\nretrieve: [{kind: bm25}]\ntiers: [{kind: identity, name: keep, depth: 2}]\n"


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """Commands send this process's log lines to the standard error that they find."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs `cascade ARGUMENTS` on a wide terminal and returns what it printed, and its exit status."""
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: object, stdin: bytes | None = None) -> Any:
        result = CliRunner().invoke(app, [str(a) for a in arguments], input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call


@pytest.fixture
def run_json(run: Callable[..., Any]) -> Callable[..., Any]:
    """Runs a command that succeeds, and reads the JSON that it prints."""

    def call(*arguments: object, stdin: bytes | None = None) -> Any:
        result = run(*arguments, "--json", stdin=stdin)
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    return call


@pytest.fixture(scope="session")
def cascades(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of cascades without models, also in place of the presets."""
    folder = tmp_path_factory.mktemp("cascades")
    for name in ("words", "fast", "quality", "rerank"):
        path = folder / "default" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(WORDS)
    return folder


@pytest.fixture(scope="session")
def target(cascades: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running server."""
    with _serving(tmp_path_factory.mktemp("data"), cascades) as address:
        yield address


@pytest.fixture
def own_target(cascades: Path, tmp_path: Path) -> Iterator[str]:
    """The address of a running server of this test alone, with a store that nobody has changed."""
    with _serving(tmp_path / "server", cascades) as address:
        yield address


@contextmanager
def _serving(data_dir: Path, cascades: Path) -> Iterator[str]:
    settings = Settings(port=0, metrics_port=None, data_dir=data_dir, cascades_dir=cascades)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = Server(settings)
    try:
        port = asyncio.run_coroutine_threadsafe(server.start(), loop).result(60)
        yield f"127.0.0.1:{port}"
    finally:
        structlog.reset_defaults()  # the standard error of the last command is closed, and the server may yet log
        asyncio.run_coroutine_threadsafe(server.stop(0), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

"""The walk through the control plane, typed as the document shows it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from cascade.cli.app import app
from cascade.config import parse
from cascade_server.app import Server
from cascade_server.settings import Settings
from tests.deploy.session import Shell, files, is_like, steps, write

_SERVE = "cascade serve --data-dir data &"


@pytest.fixture
def document(deploy: Path) -> Path:
    return deploy / "walkthrough.md"


@pytest.fixture
def server(document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server of the folder `data` beside the document's files, not yet started."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "110")
    write(document, tmp_path)
    yield Server(Settings(port=0, metrics_port=None, data_dir=tmp_path / "data"), cascades=lambda: {"default": {}})
    structlog.reset_defaults()


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop that runs in a thread."""
    made = asyncio.new_event_loop()
    thread = threading.Thread(target=made.run_forever)
    thread.start()
    yield made
    made.call_soon_threadsafe(made.stop)
    thread.join()
    made.close()


def test_every_command_prints_what_the_document_shows(
    document: Path, server: Server, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = Shell(lambda arguments: CliRunner().invoke(app, arguments), monkeypatch)
    typed = list(steps(document.read_text()))
    try:
        for step in typed:
            if step.command == _SERVE:
                port = asyncio.run_coroutine_threadsafe(server.start(), loop).result(60)
                monkeypatch.setenv("CASCADE_TARGET", f"127.0.0.1:{port}")
                continue
            printed = shell(step.command)
            assert is_like(printed, step.printed), f"$ {step.command}\n{printed}"
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(0), loop).result(60)
    assert _SERVE in [step.command for step in typed]


def test_the_walk_goes_all_the_way(document: Path) -> None:
    typed = " ".join(step.command for step in steps(document.read_text()))
    for command in (
        "tenant create",
        "key create",
        "cascade put search search-v1.yaml",
        "cascade activate search 1",
        "cascade canary search 2 --percent 10",
        "cascade shadow search 3",
        "cascade promote",
        "cascade rollback",
        "admin audit",
        "admin usage",
        "cascade rank",
    ):
        assert command in typed


def test_the_documents_cascades_are_valid(document: Path) -> None:
    found = files(document.read_text())
    assert sorted(found) == ["search-v1.yaml", "search-v2.yaml", "search-v3.yaml"]
    for name, text in found.items():
        parse(text, name)


def test_other_output_than_shown_is_noticed() -> None:
    assert is_like("a  b\n\nkey 12 is made\n", ["a b", "key … is made"])
    assert is_like("a\nb\nc\n", ["a", "…", "c"])
    assert not is_like("a\nb\nc\n", ["a", "c"])
    assert not is_like("key 12 is gone\n", ["key … is made"])
    assert not is_like("", ["a"])

"""A Redis of its own for every test that wants one, where there is one to be run."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

REDIS = shutil.which("redis-server")


class RedisServer:
    """A Redis that can be started and stopped again, always at the same address."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"redis://127.0.0.1:{self.port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return when it accepts connections."""
        assert REDIS is not None
        options = ("--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
        self._process = subprocess.Popen([REDIS, *options, "--dir", self._folder], stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert any(b"Ready to accept connections" in line for line in self._process.stdout)

    def stop(self) -> None:
        """End it, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


@pytest.fixture
def unused_url(tmp_path: Path) -> str:
    """Where no Redis is."""
    return RedisServer(tmp_path).url


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that runs."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Stops the clock of what is counted in this process; the function that it gives sets it."""
    now = [1_000_000.0]
    monkeypatch.setattr("limits.aio.storage.memory.time.time", lambda: now[0])

    def at(seconds: float) -> None:
        now[0] = 1_000_000.0 + seconds

    return at

"""A server as a process of its own, whose log is read as it comes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

GOOD = "retrieve: [{kind: bm25}]\n"


class Process:
    """A server's process, or several of one server, with all of the log that was read."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.log: list[dict[str, Any]] = []

    async def event(self, name: str) -> dict[str, Any]:
        """The next line of the log about `name`, of any of the processes."""
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self.log.append(json.loads(line))
            if self.log[-1]["event"] == name:
                return self.log[-1]
        raise AssertionError(f"the log ended without {name!r}: {self.log}")

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def exit_status(self) -> int:
        """The exit status, once the process has ended and its log is read."""
        assert self._process.stderr is not None
        self.log.extend([json.loads(line) async for line in self._process.stderr])
        return await self._process.wait()


@asynccontextmanager
async def started(tmp_path: Path, *flags: str, **settings: str) -> AsyncIterator[Process]:
    """A server on free ports, with its data in `tmp_path` and the cascades that are there."""
    given = {"port": "0", "metrics_port": "0", "data_dir": str(tmp_path / "data"), **settings}
    environment = os.environ | {f"CASCADE_{name.upper()}": value for name, value in given.items()}
    command = (sys.executable, "-m", "cascade_server", "--cascades-dir", str(tmp_path / "cascades"), *flags)
    process = await asyncio.create_subprocess_exec(*command, env=environment, stderr=asyncio.subprocess.PIPE)
    try:
        yield Process(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def without_models(tmp_path: Path) -> Path:
    """The default tenant's folder in `tmp_path`, with presets that need no models."""
    folder = tmp_path / "cascades" / "default"
    folder.mkdir(parents=True)
    for name in ("fast", "quality", "rerank"):
        (folder / f"{name}.yaml").write_text(GOOD)
    return folder


async def metrics(port: int) -> str:
    """What a server says of itself over HTTP, as an operator reads it."""

    def read() -> str:
        with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            return str(answer.read().decode())

    return await asyncio.to_thread(read)

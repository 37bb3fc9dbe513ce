"""A server process of our own: started on free ports, with a log of its own, and ended with the measurement."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cascade.errors import CascadeError

_PATIENCE = 120.0
_POLL = 0.05
_LAST_LINES = 5


class ServerError(CascadeError):
    """The server did not start, or has ended; says what its log says."""


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A server that answered when it was made; `settings` are the flags it was given."""

    name: str
    target: str
    pid: int
    settings: Mapping[str, str]
    log: Path
    _process: asyncio.subprocess.Process

    def problems(self) -> list[str]:
        """What is wrong if it has ended."""
        if self._process.returncode is None:
            return []
        return [f"server {self.name} ended with status {self._process.returncode}: {_tail(self.log)}"]


@asynccontextmanager
async def servers(folder: Path, each: Mapping[str, Mapping[str, str]]) -> AsyncIterator[dict[str, ServerProcess]]:
    """Servers by name with their settings, by Settings' names, started together. Raises ServerError.

    Nothing of this process's CASCADE_ environment reaches them. Their logs are in `folder`. The same questions come
    again and again, and each is to be work: unless they are told to, servers remember nothing.
    """
    async with AsyncExitStack() as stack:
        # All of them are waited for, so that none is left behind by the failure of another.
        starting = (_start(folder, name, given, stack) for name, given in each.items())
        started = await asyncio.gather(*starting, return_exceptions=True)
        for one in started:
            if isinstance(one, BaseException):
                raise one
        yield {server.name: server for server in started if isinstance(server, ServerProcess)}


async def _start(folder: Path, name: str, settings: Mapping[str, str], stack: AsyncExitStack) -> ServerProcess:
    given = {"port": "0", "metrics_port": "0", "data_dir": str(folder / "data"), "cache_mb": "0", **settings}
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CASCADE_")}
    environment |= {f"CASCADE_{key.upper()}": value for key, value in given.items()}
    log = folder / f"{name}.log"
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "cascade_server", env=environment, stdout=out, stderr=out
        )
    stack.push_async_callback(_end, process)
    try:
        async with asyncio.timeout(_PATIENCE):
            port = (await _event(log, "listening", process))["port"]
            await _event(log, "ready", process)
    except TimeoutError:
        raise ServerError(f"server {name} was not ready within {_PATIENCE:.0f} s: {_tail(log)}") from None
    return ServerProcess(name, f"127.0.0.1:{port}", process.pid, dict(settings), log, process)


async def _event(log: Path, event: str, process: asyncio.subprocess.Process) -> dict[str, Any]:
    while True:
        ended = process.returncode is not None
        if (found := _logged(log, event)) is not None:
            return found
        if ended:
            raise ServerError(f"the server ended with status {process.returncode}: {_tail(log)}")
        await asyncio.sleep(_POLL)


def _logged(log: Path, event: str) -> dict[str, Any] | None:
    for line in log.read_text(encoding="utf-8").splitlines():
        with suppress(ValueError):  # a line that is not whole yet, or not of the log
            found = json.loads(line)
            if isinstance(found, dict) and found.get("event") == event:
                return found
    return None


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()


def _tail(log: Path) -> str:
    return " | ".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:]) or "no log"

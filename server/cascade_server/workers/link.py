"""What supervisor and worker tell each other: settings one way and readiness the other, each a line of JSON."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO

from cascade_server.settings import Settings

_STANDARD_OUTPUT, _STANDARD_ERROR = 1, 2


@dataclass(frozen=True, slots=True)
class Orders:
    """Which worker it is, counted from 0, and its settings, whose port it shares with the others."""

    number: int
    settings: Settings

    def to_line(self) -> bytes:
        """As one line."""
        return json.dumps({"number": self.number, "settings": self.settings.model_dump(mode="json")}).encode() + b"\n"

    @staticmethod
    def from_line(line: bytes) -> Orders:
        """What `to_line` gave; nothing of this process's environment is among the settings."""
        found: dict[str, Any] = json.loads(line)
        return Orders(found["number"], Settings(**found["settings"]))


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker answers, and serves its metrics on this port, if it has any."""

    metrics_port: int | None

    def to_line(self) -> bytes:
        """As one line."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @staticmethod
    def from_line(line: bytes) -> Ready:
        """What `to_line` gave."""
        return Ready(**json.loads(line))


async def ended(stream: BinaryIO) -> None:
    """Return when the other end of `stream` is closed, as when its process is gone."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), stream)
    try:
        while await reader.read(4096):
            pass
    finally:
        transport.close()


def to_supervisor() -> BinaryIO:
    """What the supervisor reads. Whatever else prints to standard output goes to standard error from now on.

    Libraries print there, also from other threads and languages, and the supervisor takes it for words of the worker.
    """
    sys.stdout.flush()
    own = os.fdopen(os.dup(_STANDARD_OUTPUT), "wb", buffering=0)
    os.dup2(_STANDARD_ERROR, _STANDARD_OUTPUT)
    return own

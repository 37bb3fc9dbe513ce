"""A peer in a process of its own, that does nothing until it is its turn."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cascade.bench.texts import Work
from cascade.bench.threads import limit

PROGRAM = Path(__file__).with_name("program.py")


class PeerError(Exception):
    """What a peer said went wrong, or that its process has ended."""


class PeerProcess:
    """Loaded with `work`, of which it does the one whose number it is told; ended when its block is left.

    `log` is a file for what it prints. Raises PeerError.
    """

    def __init__(
        self,
        python: Path,
        peer: str,
        folder: Path,
        work: Sequence[Work],
        *,
        threads: int,
        log: Path,
        program: Path = PROGRAM,
    ) -> None:
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "DO_NOT_TRACK": "1"}
        limit(environment, threads)
        environment |= {"PYTHONNOUSERSITE": "1", "PYTHONWARNINGS": "ignore"}
        environment.pop("PYTHONPATH", None)
        self._log = log.open("w", encoding="utf-8")
        self._process = subprocess.Popen(
            [str(python), str(program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            encoding="utf-8",
            env=environment,
        )
        given = [(one.query, one.passages) for one in work]
        try:
            loaded = self._ask(do="load", peer=peer, folder=str(folder), work=given, threads=threads)
        except PeerError:
            self.close()
            raise
        self.version: str = loaded["version"]
        self.detail: str = loaded["detail"]

    def scores(self, case: int) -> list[float]:
        """Of each passage of that work, in order."""
        found: list[float] = self._ask(do="run", case=case)["scores"]
        return found

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, **order: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise PeerError("its process has ended") from None
        line = self._process.stdout.readline()
        if not line:
            raise PeerError("its process has ended")
        answer: dict[str, Any] = json.loads(line)
        if "problem" in answer:
            raise PeerError(answer["problem"])
        return answer

"""Every bench, each in a process of its own, within a time that they share out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cascade.bench.catalogue import BENCHES, Entry
from cascade.bench.options import Options
from cascade.bench.result import Result

SECONDS = 1140.0
"""Of all benches together: 20 minutes, and a minute less for what comes before and after them."""

_ROUNDS_SHARE = 0.5  # of a bench's seconds; models are loaded and quality is measured in the rest


@dataclass(frozen=True, slots=True)
class Everything:
    """What came of every bench: a result, or the reason why there is none; and what each took, in seconds."""

    results: Sequence[Result]
    failures: Mapping[str, str]
    seconds: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        benches = [{**result.to_json(), "seconds": self.seconds[result.name]} for result in self.results]
        return {"benches": benches, "failures": dict(self.failures), "seconds": sum(self.seconds.values())}


def everything(
    options: Options,
    tell: Callable[[str], None],
    *,
    benches: Mapping[str, Entry] = BENCHES,
    program: Sequence[str] = (sys.executable, "-c", "from cascade.cli.app import main; main()", "bench"),
) -> Everything:
    """Run `program` NAME for each of `benches`; one that fails, or is not done when its time is up, ends alone.

    A bench has its own seconds and what those before it left over: the shortest come first. Results are in the order of
    `benches`.
    """
    results: dict[str, Result] = {}
    failures: dict[str, str] = {}
    took: dict[str, float] = {}
    begin = time.monotonic()
    left = sum(entry.seconds for entry in benches.values())
    for name, entry in sorted(benches.items(), key=lambda item: item[1].seconds):
        left -= entry.seconds
        allowed = (options.seconds or SECONDS) - left - (time.monotonic() - begin)
        started = time.monotonic()
        tell(f"{name}: {entry.about}")
        try:
            results[name] = _run([*program, name, *_arguments(options, entry)], allowed, tell)
        except _FailedError as error:
            failures[name] = str(error)
        took[name] = time.monotonic() - started
        end = f"failed: {failures[name]}" if name in failures else "done"
        tell(f"{name}: {end}, after {took[name]:.0f} s")
    return Everything([results[name] for name in benches if name in results], failures, took)


class _FailedError(Exception):
    """Why a bench came to no result."""


def _run(command: Sequence[str], seconds: float, tell: Callable[[str], None]) -> Result:
    """What the command prints, read as a result; its other lines are passed on. Raises _FailedError."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as printed:
        process = subprocess.Popen(
            command, stdout=printed, stderr=subprocess.PIPE, text=True, encoding="utf-8", start_new_session=True
        )
        late = threading.Event()

        def end() -> None:
            late.set()
            os.killpg(process.pid, signal.SIGKILL)  # its group has it and what it started, nothing else

        timer = threading.Timer(max(0.0, seconds), end)
        timer.start()
        last = ""
        assert process.stderr is not None
        try:
            with process.stderr as lines:
                for line in lines:
                    tell(f"  {line.rstrip()}")
                    last = line.strip() or last
            status = process.wait()
        except BaseException:  # such as Ctrl-C, which does not reach its group
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        finally:
            timer.cancel()
        if late.is_set():
            raise _FailedError(f"not done after {seconds:.0f} s, which is what was left for it")
        if status:
            raise _FailedError(f"exit status {status}: {last}")
        printed.seek(0)
        try:
            return Result.from_json(json.load(printed))
        except (ValueError, KeyError, TypeError) as error:
            raise _FailedError(f"it printed something else than a result ({error}); run it alone to see") from error


def _arguments(options: Options, entry: Entry) -> list[str]:
    given = {
        "--rounds": options.rounds,
        "--threads": options.threads,
        "--collection": options.collection,
        "--collections": options.collections,
        "--peers": options.peers_python,
        "--seconds": max(1.0, entry.seconds * _ROUNDS_SHARE),
    }
    found = [str(part) for name, value in given.items() if value is not None for part in (name, value)]
    return [*found, "--json", *(["--quick"] if options.quick else [])]

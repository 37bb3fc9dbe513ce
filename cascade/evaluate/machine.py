"""The machine that is measured on, and who else uses it meanwhile."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

_PROC = Path("/proc")
_BUSY_COLUMNS = (0, 1, 2, 5, 6, 7)  # user, nice, system, irq, softirq, steal; not idle and iowait


@dataclass(frozen=True, slots=True)
class Used:
    """Processor seconds so far: of the whole machine, what was stolen included, and of the processes looked at."""

    machine: float
    ours: float
    capacity: float


def describe(*packages: str) -> dict[str, str | int]:
    """What a figure needs beside it to mean anything: processors, system, and versions, also those of `packages`."""
    return {
        "processor": _processor(),
        "processors": processors(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
        "cascade": version("cascade-ranking"),
    }


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def used(pids: Iterable[int]) -> Used | None:
    """Processor time up to now, `pids` and this process being ours; None where the system does not tell.

    A process that has ended counts no more, so look before ending any.
    """
    try:
        ticks = os.sysconf("SC_CLK_TCK")
        columns = [int(n) for n in (_PROC / "stat").read_text().splitlines()[0].split()[1:9]]
        ours = sum(_process_ticks(pid) for pid in {*pids, os.getpid()})
    except (OSError, ValueError, IndexError):
        return None
    busy = sum(columns[n] for n in _BUSY_COLUMNS)
    return Used(busy / ticks, ours / ticks, sum(columns) / ticks)


def foreign_share(before: Used | None, after: Used | None) -> float | None:
    """What share of the machine others used between the two; None where the system does not tell."""
    if before is None or after is None or after.capacity <= before.capacity:
        return None
    others = (after.machine - before.machine) - (after.ours - before.ours)
    return max(0.0, others / (after.capacity - before.capacity))


def _process_ticks(pid: int) -> int:
    fields: Sequence[str] = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _processor() -> str:
    try:
        lines = (_PROC / "cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())

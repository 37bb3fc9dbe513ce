"""How many threads a process computes with: the one place where every library is told."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path

_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS")
_CGROUP = Path("/sys/fs/cgroup")


def cores(cgroup: Path = _CGROUP) -> int:
    """Cores that this process may use: those that it may run on, or fewer where a container has a quota of their time.

    A part of a core counts as one; `os.cpu_count()` knows of neither, and is what libraries take by themselves.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(cgroup)
    return allowed if quota is None else max(1, min(allowed, quota))


def limit(environment: MutableMapping[str, str], threads: int | None) -> None:
    """Have libraries that read `environment` when they are first imported compute with so many threads.

    For None with as many as there are cores, unless a variable already says otherwise: that is the operator's word.
    """
    for name in _VARIABLES:
        if threads is not None:
            environment[name] = str(threads)
        else:
            environment.setdefault(name, str(cores()))


def _quota(cgroup: Path) -> int | None:
    """Whole cores that the quota comes to, None without one; of either version of cgroups."""
    try:
        if (both := cgroup / "cpu.max").exists():
            quota, period = both.read_text().split()
        else:
            quota, period = ((cgroup / "cpu" / f"cpu.cfs_{of}_us").read_text() for of in ("quota", "period"))
        return -(-int(quota) // int(period)) if int(quota) > 0 else None
    except (OSError, ValueError):  # not Linux, or "max": as much as there is
        return None

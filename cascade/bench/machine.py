"""The machine of a bench, and how much of it others used meanwhile."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from cascade.bench.options import Options
from cascade.evaluate import machine

_PACKAGES = ("numpy", "torch", "transformers", "sentence-transformers")


def describe(options: Options, *packages: str) -> dict[str, Any]:
    """Processors, threads, and the versions of what models run on and of `packages`, where they are installed."""
    return {**machine.describe(*filter(_installed, (*_PACKAGES, *packages))), "threads": options.threads}


def _installed(package: str) -> bool:
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False

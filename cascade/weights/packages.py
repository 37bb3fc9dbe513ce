"""Finds weight files inside installed packages without importing them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from cascade.errors import ModelLoadError


def package_file(model: str, package: str, relative: str) -> Path:
    """The path of `relative` inside the installed `package`; raises ModelLoadError where it is missing.

    The package's own code never runs: what it depends on need not be installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        reason = f'the package {package} is not installed; run pip install "cascade-ranking[embedded]"'
        raise ModelLoadError(model, reason)
    for location in spec.submodule_search_locations:
        path = Path(location) / relative
        if path.exists():
            return path
    where = ", ".join(spec.submodule_search_locations)
    reason = (
        f"the package {package} in {where} has no {relative}; "
        f'reinstall it with pip install --force-reinstall "cascade-ranking[embedded]"'
    )
    raise ModelLoadError(model, reason)

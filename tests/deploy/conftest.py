"""Where the files under test are, and the dashboard's modules, which are a script and not a package."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def deploy() -> Path:
    return Path(__file__).parents[2] / "deploy"


@pytest.fixture(scope="session")
def dashboard(deploy: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("cascade_dashboard", deploy / "dashboards" / "cascade.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Where Python looks when it runs the script; no longer than that, for a module of it is called as our package is.
    sys.path.insert(0, str(deploy / "dashboards"))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return module

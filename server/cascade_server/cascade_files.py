"""Reads the folder of cascade files, TENANT/NAME.yaml, and says everything that is wrong with it at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from cascade.config import CascadeConfig, load
from cascade.errors import ConfigError

DEFAULT_TENANT = "default"
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_RULE = "use lower-case letters, digits, _ and -, at most 63, beginning with a letter or digit"


def read_cascades(folder: Path | None, presets: Mapping[str, CascadeConfig]) -> dict[str, dict[str, CascadeConfig]]:
    """Every tenant's cascades by name; tenant `default` has the presets too, unless a file of that name replaces one.

    Raises ConfigError with the problems of all files.
    """
    tenants: dict[str, dict[str, CascadeConfig]] = {DEFAULT_TENANT: dict(presets)}
    if folder is None:
        return tenants
    if not folder.is_dir():
        raise ConfigError(str(folder), ["is not a folder; make it, with one folder per tenant, or unset cascades_dir"])
    problems: list[str] = []
    for entry in _entries(folder, problems):
        if entry.is_dir():
            _check_name(entry.name, entry, problems)
            tenants.setdefault(entry.name, {}).update(_read_tenant(entry, problems))
        elif entry.suffix in (".yaml", ".yml"):
            place = folder / DEFAULT_TENANT / entry.name
            problems.append(f"{entry}: is outside every tenant's folder; move it to {place}")
    if problems:
        raise ConfigError(str(folder), problems)
    return tenants


def _read_tenant(folder: Path, problems: list[str]) -> dict[str, CascadeConfig]:
    cascades: dict[str, CascadeConfig] = {}
    for path in _entries(folder, problems):
        if path.suffix == ".yml":
            problems.append(f"{path}: would not be read; rename it to {path.stem}.yaml")
        if path.suffix != ".yaml":
            continue
        _check_name(path.stem, path, problems)
        try:
            cascades[path.stem] = load(path)
        except ConfigError as error:
            problems.extend(f"{error.source}: {problem}" for problem in error.problems)
    return cascades


def _entries(folder: Path, problems: list[str]) -> list[Path]:
    """What is in the folder but for hidden entries, such as editors and Kubernetes leave."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        problems.append(f"{folder}: cannot be read: {error}")
        return []


def _check_name(name: str, path: Path, problems: list[str]) -> None:
    if not NAME.fullmatch(name):
        problems.append(f"{path}: the name {name!r} cannot be used; {_RULE}")

"""Reads a folder of cascade files, TENANT/NAME.yaml, as texts that can be put into the store."""

from __future__ import annotations

from pathlib import Path

from cascade.errors import ConfigError
from cascade_server.cascade_files import read_cascades


def read_texts(folder: Path) -> dict[str, dict[str, str]]:
    """The text of every cascade by tenant and name. Raises ConfigError with the problems of all files."""
    return {
        tenant: {name: _text(folder / tenant / f"{name}.yaml") for name in cascades}
        for tenant, cascades in read_cascades(folder, {}).items()
    }


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), [f"cannot be read: {error}"]) from error

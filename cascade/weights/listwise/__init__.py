"""The embedded joint listwise model: adapters and projector beside this file, read over SmolLM2-135M-Instruct."""

from __future__ import annotations

from pathlib import Path

from cascade.errors import ModelLoadError

_FILES = ("joint.json", "joint.safetensors")


def materialise(cache_root: Path) -> Path:
    """The folder of this file: nothing has to be derived, so `cache_root` stays as it is. Raises ModelLoadError."""
    folder = Path(__file__).parent
    missing = [name for name in _FILES if not (folder / name).is_file()]
    if missing:
        raise ModelLoadError("embedded:listwise", f"{', '.join(missing)} not installed; reinstall the package")
    return folder

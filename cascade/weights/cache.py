"""A folder of derived weights in which a model is either complete or not there."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog

_log = structlog.get_logger(__name__)


def default_cache_root() -> Path:
    """Where what is derived from weights lives unless a caller says otherwise: with the user's other caches."""
    caches = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(caches) if os.path.isabs(caches) else Path.home() / ".cache") / "cascade"


def fingerprint(files: Iterable[Path]) -> str:
    """Sixteen hex digits that change when the content of any file does."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def ensure(cache_root: Path, name: str, version: str, build: Callable[[Path], None], *, shelf: str = "models") -> Path:
    """The folder `cache_root`/`shelf`/`name`-`version`; `build` fills it if it is not there yet.

    The folder appears by one rename, so a killed or concurrent build never leaves half a model behind.
    """
    folder = cache_root / shelf / f"{name}-{version}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    _log.info("weights_preparing", model=name, version=version, folder=str(folder))
    scratch = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=folder.parent))
    try:
        build(scratch)
        scratch.chmod(0o755)
        for path in scratch.rglob("*"):  # safetensors writes files that only the owner may read
            path.chmod(0o755 if path.is_dir() else 0o644)
        try:
            scratch.rename(folder)
        except OSError:
            if not folder.is_dir():  # only another process that was faster is a reason to carry on
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    _log.info("weights_ready", model=name, version=version, seconds=round(time.monotonic() - started, 2))
    return folder

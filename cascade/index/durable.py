"""Files that survive a crash: written beside their place, synced, then renamed into it."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def sync(path: Path) -> None:
    """Force a file's content, or a folder's list of names, to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(folder: Path, known: frozenset[Path] = frozenset()) -> frozenset[Path]:
    """Sync everything under `folder` that is not in `known`; returns all files there, for the next call's `known`."""
    files = frozenset(path for path in folder.rglob("*") if path.is_file())
    new = files - known
    for path in new:
        sync(path)
    for parent in {folder} | {path.parent for path in new}:
        sync(parent)
    return files


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `target` in one step when the block ends well and vanishes when it raises.

    Raises FileExistsError when `target` is there by then.
    """
    work = target.parent / f".new-{target.name}-{uuid.uuid4().hex[:8]}"
    work.mkdir(parents=True)
    try:
        yield work
        sync_tree(work)
        if target.exists():
            raise FileExistsError(target)
        work.rename(target)
        sync(target.parent)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def remove_folder(target: Path) -> None:
    """Remove a folder so that a crash leaves it whole or gone under its name; open memory maps stay valid."""
    aside = target.parent / f".old-{target.name}-{uuid.uuid4().hex[:8]}"
    target.rename(aside)
    sync(target.parent)
    shutil.rmtree(aside, ignore_errors=True)


def sweep(parent: Path, older_than: float = 0.0) -> None:
    """Remove what crashed calls of `new_folder` and `remove_folder` left in `parent`.

    Only what is `older_than` so many seconds; with 0, nobody else may be writing there.
    """
    for pattern in (".new-*", ".old-*"):
        for leftover in parent.glob(pattern):
            if time.time() - leftover.stat().st_mtime >= older_than:
                shutil.rmtree(leftover, ignore_errors=True)

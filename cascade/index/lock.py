"""One writing process at a time: another is told so at once."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cascade.errors import IndexBusyError, NotFoundError


@contextmanager
def write_lock(index: str, folder: Path) -> Iterator[None]:
    """Hold `folder` for writing; the operating system lets go of it when the process dies.

    Raises IndexBusyError when another process holds it, and NotFoundError when there is no such folder.
    """
    try:
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    except FileNotFoundError:
        raise NotFoundError("index", index) from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise IndexBusyError(index) from None
        yield
    finally:
        os.close(handle)

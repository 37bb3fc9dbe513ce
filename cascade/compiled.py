"""Machine code that later processes find on the disk, where there is a folder for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TypeVar

import structlog

T = TypeVar("T")

_log = structlog.get_logger()


def kept_on_disk(compiled: Callable[[bool], T]) -> T:
    """`compiled(True)`, whose code is kept; `compiled(False)`, which is told of, where that cannot be."""
    try:
        return compiled(True)
    except (RuntimeError, OSError, EOFError) as error:  # no folder can be written to, or what is there cannot be read
        _warn(str(error))
        return compiled(False)


@cache
def _warn(reason: str) -> None:
    _log.warning("compiled_code_not_kept", reason=reason, advice="set NUMBA_CACHE_DIR to a folder for it")

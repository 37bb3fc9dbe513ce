"""How the kernels are compiled: once, kept on disk, and free to run beside each other."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import numba
import structlog

T = TypeVar("T")

_log = structlog.get_logger()
_LOOSE = {"reassoc", "contract", "arcp", "nsz", "afn"}
"""Sums may be taken in any order and contracted, which vectors need; NaN and infinity keep their meaning."""


def kernel(function: Callable[..., T]) -> Callable[..., T]:
    """Compiled at its first call, which takes seconds where no earlier process left it on disk; holds no lock then."""
    try:
        return _compiled(function, kept=True)
    except (RuntimeError, OSError) as error:  # no folder can be written to
        _warn(str(error))
        return _compiled(function, kept=False)


def inlined(function: Callable[..., T]) -> Callable[..., T]:
    """A piece of kernels, compiled as a part of each."""
    return _compiled(function, kept=False, inline="always")


def _compiled(function: Callable[..., T], *, kept: bool, **options: Any) -> Callable[..., T]:
    found: Callable[..., T] = numba.njit(nogil=True, fastmath=_LOOSE, error_model="numpy", cache=kept, **options)(
        function
    )
    return found


@cache
def _warn(reason: str) -> None:
    _log.warning("compiled_code_not_kept", reason=reason, advice="set NUMBA_CACHE_DIR to a folder for it")

"""How the kernels are compiled: once, kept on disk until a source changes, and free to run beside each other."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core import caching as untyped_caching

from cascade.compiled import kept_on_disk

T = TypeVar("T")

caching: Any = untyped_caching
_LOOSE = {"reassoc", "contract", "arcp", "nsz", "afn"}
"""Sums may be taken in any order and contracted, which vectors need; NaN and infinity keep their meaning."""
_HERE = Path(__file__).parent


def kernel(function: Callable[..., T]) -> Callable[..., T]:
    """Compiled at its first call, which takes seconds where no earlier process left it on disk; holds no lock then.

    Its pieces come from files beside its own, or beside this one.
    """
    return kept_on_disk(lambda kept: _compiled(function, kept=kept))


def inlined(function: Callable[..., T]) -> Callable[..., T]:
    """A piece of kernels, compiled as a part of each."""
    return _compiled(function, kept=False, inline="always")


def _compiled(function: Callable[..., T], *, kept: bool, **options: Any) -> Callable[..., T]:
    found: Any = numba.njit(nogil=True, fastmath=_LOOSE, error_model="numpy", **options)(function)
    if kept:
        found._cache = _cache(function)  # where `cache=True` puts numba's own
    compiled: Callable[..., T] = found
    return compiled


def _cache(function: Callable[..., Any]) -> Any:
    """As numba's own; but code is out of date when any file changes that a piece may be in, not the kernel's alone."""
    found = caching.FunctionCache(function)
    name, own = found._impl.filename_base, found._impl.locator.get_source_stamp()
    stamp = (own, _fingerprint(Path(function.__code__.co_filename).parent), _fingerprint(_HERE))
    found._cache_file = caching.IndexDataCacheFile(found.cache_path, name, stamp)
    return found


def _fingerprint(folder: Path) -> str:
    sources = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        sources.update(path.read_bytes())
    return sources.hexdigest()

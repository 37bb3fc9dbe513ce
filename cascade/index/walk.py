"""The compiled loop of BM25, which looks only at the passages that share a term with the query."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache
from typing import Any, cast

import numba
import numpy as np
import numpy.typing as npt

from cascade.compiled import kept_on_disk
from cascade.index.topk import Doubles, Mask, Rows

Ids = npt.NDArray[np.int32]
_Walk = Callable[[Ids, Doubles, Rows, Rows, Mask, int, int, Doubles, Ids, Doubles, Rows], int]

_BLOCK = 16_384  # rows whose sums are kept at once: 192 KB, which stay in a core's own cache
_EVERY_ROW = np.ones(0, dtype=np.bool_)
_local = threading.local()  # each thread has a block of sums of its own, all zero between calls


def walk(
    rows: Ids, impacts: Doubles, starts: Rows, terms: Rows, allowed: Mask | None, count: int, depth: int
) -> tuple[Rows, Doubles]:
    """The best `depth` of `count` rows by the sum of their impacts, best first; ties go to the lower row.

    Term t adds `impacts[p]` to `rows[p]` for p from `starts[t]` to `starts[t + 1]`, where rows ascend. Impacts are
    above zero, and are added in the order of `terms`, one that is there twice twice. A row without any is not found,
    nor is one that is not in `allowed` (count,). Other threads run meanwhile.
    """
    if not hasattr(_local, "sums"):
        _local.sums, _local.touched = np.zeros(_BLOCK), np.empty(_BLOCK + 1, dtype=np.int32)
    most = min(depth, count)
    best_rows, best_sums = np.empty(most, dtype=np.int64), np.empty(most, dtype=np.float64)
    mask = _EVERY_ROW if allowed is None else allowed
    found = compiled()(
        rows, impacts, starts, terms, mask, count, most, _local.sums, _local.touched, best_sums, best_rows
    )
    return best_rows[:found], best_sums[:found]


@cache
def compiled() -> _Walk:
    """The loop in machine code: from the disk where an earlier process left it, or compiled, which takes seconds."""
    readable = [numba.types.Array(kind, 1, "C", readonly=True) for kind in (numba.int32, numba.float64, numba.int64)]
    ids, doubles, rows = readable
    mask = numba.types.Array(numba.boolean, 1, "C", readonly=True)
    writable = (numba.float64[::1], numba.int32[::1], numba.float64[::1], numba.int64[::1])
    signature = numba.int64(ids, doubles, rows, rows, mask, numba.int64, numba.int64, *writable)
    return kept_on_disk(lambda kept: cast("_Walk", numba.njit(signature, nogil=True, cache=kept)(_walk)))


def _walk(
    rows: Any,
    impacts: Any,
    starts: Any,
    terms: Any,
    allowed: Any,
    count: int,
    depth: int,
    sums: Any,
    touched: Any,
    best_sums: Any,
    best_rows: Any,
) -> int:
    """As `walk`; `best_sums` and `best_rows` are a heap whose root is the worst, sorted at the end."""
    place = np.empty(len(terms), dtype=np.int64)
    for t in range(len(terms)):
        place[t] = starts[terms[t]]
    found = 0
    for base in range(0, count if depth > 0 else 0, len(sums)):
        limit = base + len(sums)
        reached = 0
        for t in range(len(terms)):
            p, end = place[t], starts[terms[t] + 1]
            while p < end and rows[p] < limit:
                row = rows[p] - base
                touched[reached] = row  # overwritten unless the row is new: cheaper than a branch that is guessed
                reached += sums[row] == 0.0
                sums[row] += impacts[p]
                p += 1
            place[t] = p
        for i in range(reached):
            row = touched[i] + base
            total = sums[touched[i]]
            sums[touched[i]] = 0.0
            if len(allowed) > 0 and not allowed[row]:
                continue
            if found < depth:
                _rise(best_sums, best_rows, found, total, row)
                found += 1
            elif _worse(best_sums[0], best_rows[0], total, row):
                _sink(best_sums, best_rows, found, total, row)
    for size in range(found - 1, 0, -1):
        total, row = best_sums[size], best_rows[size]
        best_sums[size], best_rows[size] = best_sums[0], best_rows[0]
        _sink(best_sums, best_rows, size, total, row)
    return found


@numba.njit(nogil=True)
def _worse(sum_a: float, row_a: int, sum_b: float, row_b: int) -> bool:
    return sum_a < sum_b or (sum_a == sum_b and row_a > row_b)


@numba.njit(nogil=True)
def _rise(sums: Any, rows: Any, place: int, total: float, row: int) -> None:
    """Put an entry at the free `place` at the end of the heap, and let it rise."""
    while place > 0:
        above = (place - 1) >> 1
        if not _worse(total, row, sums[above], rows[above]):
            break
        sums[place], rows[place] = sums[above], rows[above]
        place = above
    sums[place], rows[place] = total, row


@numba.njit(nogil=True)
def _sink(sums: Any, rows: Any, size: int, total: float, row: int) -> None:
    """Put an entry where the root of a heap of `size` was, and let it sink."""
    place, below = 0, 1
    while below < size:
        if below + 1 < size and _worse(sums[below + 1], rows[below + 1], sums[below], rows[below]):
            below += 1
        if not _worse(sums[below], rows[below], total, row):
            break
        sums[place], rows[place] = sums[below], rows[below]
        place, below = below, 2 * below + 1
    sums[place], rows[place] = total, row

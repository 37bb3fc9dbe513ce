"""MaxSim of documents that lie anywhere in memory, some of their tokens at a time."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from cascade.inference.dots import COLUMNS, ROWS, best_float32, best_int8
from cascade.inference.towers.native.machine_code import kernel


@cache
def processor_can() -> bool:
    """Whether it multiplies vectors of bytes (AVX-512 VNNI), and so vectors of floats as long."""
    from llvmlite import binding

    return bool(binding.get_host_cpu_features().get("avx512vnni"))


@kernel
def sum_best_int8(
    addresses: Any, lengths: Any, starts: Any, scales: Any, few: Any, start: Any, query_scales: Any,
    first: Any, last: Any, out: Any,
) -> None:  # fmt: skip
    """Add to `out` the sums over the query's tokens of the best inner product with documents `first` to `last`.

    A document's vectors are int8 from its address on, its tokens' scales from its start in `scales` on. The query's
    are up to 32, as `best_int8` wants them, each with a scale.
    """
    words = len(few) // COLUMNS
    step = words * 4
    best = np.empty(COLUMNS, dtype=np.float32)
    for n in range(first, last):
        best[:] = -np.inf
        for t in range(0, lengths[n], ROWS):
            count = min(ROWS, lengths[n] - t)
            best_int8(addresses[n] + t * step, step, count, few, start, scales, starts[n] + t, best, words)
        total = np.float32(0)
        for j in range(len(query_scales)):
            total += best[j] * query_scales[j]
        out[n] += total


@kernel
def sum_best_float32(
    addresses: Any, lengths: Any, query: Any, nothing: Any, tokens: Any, first: Any, last: Any, out: Any
) -> None:
    """As `sum_best_int8`, of float32 vectors; `query` [dimensions, 32], flat, of which the first `tokens` count."""
    words = len(query) // COLUMNS
    step = words * 4
    best = np.empty(COLUMNS, dtype=np.float32)
    for n in range(first, last):
        best[:] = -np.inf
        for t in range(0, lengths[n], ROWS):
            count = min(ROWS, lengths[n] - t)
            best_float32(addresses[n] + t * step, step, count, query, nothing, nothing, 0, best, words)
        total = np.float32(0)
        for j in range(tokens):
            total += best[j]
        out[n] += total

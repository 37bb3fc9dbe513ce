"""Attention within each sequence of a strip, in float32, eight tokens at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from cascade.inference.towers.native.elementary import MAGNITUDE, exponential, f, i, rounded
from cascade.inference.towers.native.machine_code import inlined, kernel
from cascade.inference.towers.native.tile import COLUMNS, ROWS, multiply_tile


@inlined
def _ascending(bits: Any) -> Any:
    """A float's bit pattern as a whole number of the same order; its own inverse."""
    return i(bits ^ i(i(bits >> i(31)) & MAGNITUDE))


@inlined
def _softmax(row: Any, bias: Any) -> Any:
    """e^(row + bias - the largest) in place, and 1 over the sum."""
    most = i(-0x7FFFFFFF)
    for j in range(len(row)):
        logit = f(row[j] + bias[j])
        row[j] = logit
        bit = _ascending(logit.view(np.int32))
        most = bit if bit > most else most
    largest = _ascending(most).view(np.float32)
    total = f(0)
    for j in range(len(row)):
        e = exponential(row[j] - largest)
        row[j] = e
        total += e
    return f(1) / total


@kernel
def attend(
    sums: Any, scales: Any, weight_scales: Any, bias: Any, parts: Any, starts: Any, gate: Any, heads: Any,
    queries: Any, keys: Any, values: Any, logits: Any, biases: Any, read: Any, states: Any, out: Any, out_scales: Any,
) -> None:  # fmt: skip
    """softmax(q k / sqrt(d) + gate between parts) v of every sequence and head (Vaswani et al., 2017).

    `sums` int32 [tokens, 3 hidden] are queries, keys and values, as in `kernels`. Room for one head of one sequence,
    whose width d is rounded up to whole tiles: `queries` and `values` [longest, d], flat `keys` [d, longest] and
    `logits` [8, longest], `biases` [2, longest], `read` [8, d]; `states` [tokens, hidden].
    """
    hidden = sums.shape[1] // 3
    width = hidden // heads
    wide = queries.shape[1]
    root = f(1) / np.sqrt(f(width))
    queries[:], values[:] = f(0), f(0)
    inverse = np.empty(ROWS, dtype=np.float32)
    for n in range(len(starts) - 1):
        first = starts[n]
        length = starts[n + 1] - first
        padded = (length + COLUMNS - 1) // COLUMNS * COLUMNS
        part = parts[first : first + length]
        for d in range(width):
            keys[d * padded + length : (d + 1) * padded] = f(0)
        for head in range(heads):
            at = head * width
            for j in range(length):
                biases[0, j] = gate[head] if part[j] != 0 else f(0)
                biases[1, j] = gate[head] if part[j] == 0 else f(0)
            for t in range(length):
                of_token, found, query, value = scales[first + t], sums[first + t], queries[t], values[t]
                for d in range(width):
                    q, v = at + d, 2 * hidden + at + d
                    query[d] = (f(found[q]) * (of_token * weight_scales[q]) + bias[q]) * root
                    value[d] = f(found[v]) * (of_token * weight_scales[v]) + bias[v]
                for d in range(width):  # apart, since these are scattered
                    k = hidden + at + d
                    keys[d * padded + t] = f(found[k]) * (of_token * weight_scales[k]) + bias[k]
            for t in range(0, length, ROWS):
                for j in range(0, padded, COLUMNS):
                    multiply_tile(queries, t * wide, wide, keys, j, padded, logits, j, padded, width)
                rows = min(ROWS, length - t)
                for r in range(rows):
                    row = logits[r * padded : r * padded + length]
                    inverse[r] = _softmax(row, biases[min(part[t + r], 1)])
                for d in range(0, wide, COLUMNS):
                    multiply_tile(logits, 0, padded, values, d, wide, read, d, wide, length)
                for r in range(rows):
                    state, found_read = states[first + t + r, at : at + width], read[r]
                    for d in range(width):
                        state[d] = found_read[d] * inverse[r]
    for t in range(len(sums)):
        out_scales[t] = rounded(states[t], out[t])

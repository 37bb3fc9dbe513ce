"""Attention within each sequence of a strip, in float32, eight tokens at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from cascade.inference.towers.native.elementary import MAGNITUDE, exponential, f, i, rounded
from cascade.inference.towers.native.machine_code import inlined, kernel
from cascade.inference.towers.native.tile import COLUMNS, ROWS, multiply_tile

CLOSED = f(-1e30)


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
    keys: Any, logits: Any, biases: Any, read: Any, states: Any, out: Any, out_scales: Any,
) -> None:  # fmt: skip
    """softmax(q k + gate between parts) v of every sequence and head (Vaswani et al., 2017).

    `sums` int32 [tokens, 3 hidden] are queries, keys and values, as in `kernels`, and are overwritten by their floats;
    queries are to be divided by the root of a head's width already. In their memory follow at least eight rows, which
    are multiplied by, and nothing comes of it. Room for one head of one sequence, whose lengths are rounded up to whole
    tiles: flat `keys` [width, longest] and `logits` [8, longest], `biases` [2, longest], `read` [8, width].
    `states` [tokens, hidden].
    """
    hidden = sums.shape[1] // 3
    width = hidden // heads
    wide = read.shape[1]
    step = 3 * hidden
    tokens = len(scales)
    floats = sums.reshape(-1).view(np.float32)
    inverse = np.empty(ROWS, dtype=np.float32)
    for t in range(tokens):
        of_token, found, row = scales[t], sums[t], floats[t * step : (t + 1) * step]
        for k in range(step):
            row[k] = f(found[k]) * (of_token * weight_scales[k]) + bias[k]
    for n in range(len(starts) - 1):
        first = starts[n]
        length = starts[n + 1] - first
        padded = (length + COLUMNS - 1) // COLUMNS * COLUMNS
        part = parts[first : first + length]
        for d in range(width):
            keys[d * padded + length : (d + 1) * padded] = f(0)
        biases[:, length:padded] = CLOSED  # so that softmax is over whole vectors, too
        for head in range(heads):
            query = first * step + head * width
            key, value = query + hidden, query + 2 * hidden
            for j in range(length):
                biases[0, j] = gate[head] if part[j] != 0 else f(0)
                biases[1, j] = gate[head] if part[j] == 0 else f(0)
            for t in range(length):
                row = floats[key + t * step : key + t * step + width]
                for d in range(width):
                    keys[d * padded + t] = row[d]
            for t in range(0, length, ROWS):
                for j in range(0, padded, COLUMNS):
                    multiply_tile(floats, query + t * step, step, keys, j, padded, logits, j, padded, width)
                rows = min(ROWS, length - t)
                for r in range(rows):
                    row = logits[r * padded : (r + 1) * padded]
                    inverse[r] = _softmax(row, biases[min(part[t + r], 1), :padded])
                for d in range(0, wide, COLUMNS):
                    multiply_tile(logits, 0, padded, floats, value + d, step, read, d, wide, length)
                for r in range(rows):
                    state, found_read = states[first + t + r, head * width : (head + 1) * width], read[r]
                    for d in range(width):
                        state[d] = found_read[d] * inverse[r]
    for t in range(tokens):
        out_scales[t] = rounded(states[t], out[t])

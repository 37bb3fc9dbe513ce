"""Attention within each sequence of a strip, eight tokens at a time: in bfloat16 where it pays, else in float32."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from cascade.inference.towers.native.elementary import (
    LOG2E,
    MAGNITUDE,
    above_to_brain,
    exponential,
    f,
    i,
    power_of_two,
    rounded,
    to_brain,
)
from cascade.inference.towers.native.machine_code import inlined, kernel
from cascade.inference.towers.native.tile import (
    COLUMNS,
    ROWS,
    multiplies_pairs,
    multiply_tile,
    multiply_tile_of_pairs,
)
from cascade.inference.towers.padded import up

CLOSED = f(-1e30)

Array = npt.NDArray[Any]


class Attention(Protocol):
    """softmax(q k + gate between parts) v of every sequence and head (Vaswani et al., 2017), rounded for what is next.

    One thread's, for pieces of a strip of as many tokens as it was made for.
    """

    def __call__(
        self,
        sums: Array,
        scales: Array,
        weight_scales: Array,
        bias: Array,
        parts: Array,
        starts: Array,
        gate: Array,
        most: int,
        out: Array,
        out_scales: Array,
    ) -> None:
        """`sums` int32 [tokens, 3 hidden] are queries, keys and values, as in `kernels`; they may be overwritten.

        Queries are to be divided by the root of a head's width already. Of each sequence the first `most` tokens are
        asked for, and written to `out` int8 [tokens, hidden] and `out_scales`, at their places.
        """
        ...


def attention(tokens: int, hidden: int, heads: int) -> Attention:
    """What is fastest here, for pieces of at most `tokens`."""
    even = (hidden // heads) % 2 == 0
    return InPairs(tokens, hidden, heads) if even and multiplies_pairs() else InFloats(tokens, hidden, heads)


class _Room:
    """What both ways need: room for the logits of one head and eight tokens, and what they read."""

    def __init__(self, tokens: int, hidden: int, heads: int) -> None:
        self.heads = heads
        self.width = hidden // heads
        self.longest, self.wide = up(tokens, COLUMNS), up(self.width, COLUMNS)
        self.logits = np.empty(self.longest * ROWS, dtype=np.float32)
        self.biases = np.empty((2, self.longest), dtype=np.float32)
        self.read = np.empty((ROWS, self.wide), dtype=np.float32)
        self.states = np.empty((tokens, hidden), dtype=np.float32)


class InFloats(_Room):
    """In float32, on any processor; what is multiplied stays where it was.

    In the memory of the `sums` at least eight rows follow, which are multiplied by, and nothing comes of it.
    """

    def __init__(self, tokens: int, hidden: int, heads: int) -> None:
        super().__init__(tokens, hidden, heads)
        self.keys = np.empty(self.longest * self.width, dtype=np.float32)

    def __call__(
        self, sums: Array, scales: Array, weight_scales: Array, bias: Array, parts: Array, starts: Array,
        gate: Array, most: int, out: Array, out_scales: Array,
    ) -> None:  # fmt: skip
        """As promised by `Attention`."""
        _attend_in_floats(
            sums, scales, weight_scales, bias, parts, starts, gate, self.heads, most,
            self.keys, self.logits, self.biases, self.read, self.states, out, out_scales,
        )  # fmt: skip


class InPairs(_Room):
    """Queries, keys, values and shares in bfloat16, two by two; sums and the softmax are float32."""

    def __init__(self, tokens: int, hidden: int, heads: int) -> None:
        super().__init__(tokens, hidden, heads)
        self.rows = np.empty((2, 3 * hidden), dtype=np.uint16)
        self.queries = np.zeros((tokens + ROWS, hidden), dtype=np.uint16)
        self.keys = np.empty(self.longest * (hidden // 2), dtype=np.int32)
        self.values = np.zeros((tokens + 1) // 2 * hidden + self.wide, dtype=np.int32)  # a tile may reach beyond
        self.shares = np.zeros((ROWS, self.longest), dtype=np.uint16)

    def __call__(
        self, sums: Array, scales: Array, weight_scales: Array, bias: Array, parts: Array, starts: Array,
        gate: Array, most: int, out: Array, out_scales: Array,
    ) -> None:  # fmt: skip
        """As promised by `Attention`."""
        _attend_in_pairs(
            sums, scales, weight_scales, bias, parts, starts, gate, self.heads, most,
            self.rows, self.queries, self.keys, self.values, self.shares,
            self.logits, self.biases, self.read, self.states, out, out_scales,
        )  # fmt: skip


@inlined
def _ascending(bits: Any) -> Any:
    """A float's bit pattern as a whole number of the same order; its own inverse."""
    return i(bits ^ i(i(bits >> i(31)) & MAGNITUDE))


@inlined
def _largest_logit(row: Any, bias: Any) -> Any:
    """Adds the bias to the products in place; the largest logit, NaN where there is one."""
    most = i(-0x7FFFFFFF)
    for j in range(len(row)):
        logit = f(row[j] + bias[j])
        row[j] = logit
        bit = _ascending(logit.view(np.int32))
        most = bit if bit > most else most
    return _ascending(most).view(np.float32)


@inlined
def _inverse(total: Any, largest: Any) -> Any:
    """1 over the sum of a softmax; NaN where a logit was, which the exponentials do not show."""
    return f(1) / total if largest == largest else largest


@inlined
def _softmax(row: Any, bias: Any) -> Any:
    """e^(row + bias - the largest) in place, and 1 over the sum."""
    largest = _largest_logit(row, bias)
    total = f(0)
    for j in range(len(row)):
        e = exponential(row[j] - largest)
        row[j] = e
        total += e
    return _inverse(total, largest)


@inlined
def _softmax_in_brain(row: Any, bias: Any, shares: Any) -> Any:
    """The same, to `shares` in bfloat16."""
    largest = _largest_logit(row, bias)
    offset = largest * LOG2E
    total = f(0)
    for j in range(len(row)):
        e = f(power_of_two(row[j] * LOG2E - offset))
        total += e
        shares[j] = above_to_brain(f(e))
    return _inverse(total, largest)


@inlined
def _across(biases: Any, part: Any, gate: Any) -> None:
    """What is added to the logits of a token of either part."""
    for j in range(len(part)):
        biases[0, j] = gate if part[j] != 0 else f(0)
        biases[1, j] = gate if part[j] == 0 else f(0)


@kernel
def _attend_in_floats(
    sums: Any, scales: Any, weight_scales: Any, bias: Any, parts: Any, starts: Any, gate: Any, heads: Any, most: Any,
    keys: Any, logits: Any, biases: Any, read: Any, states: Any, out: Any, out_scales: Any,
) -> None:  # fmt: skip
    hidden = sums.shape[1] // 3
    width = hidden // heads
    wide = read.shape[1]
    step = 3 * hidden
    floats = sums.reshape(-1).view(np.float32)
    inverse = np.empty(ROWS, dtype=np.float32)
    for t in range(len(sums)):
        of_token, found, row = scales[t], sums[t], floats[t * step : (t + 1) * step]
        for k in range(step):
            row[k] = f(found[k]) * (of_token * weight_scales[k]) + bias[k]
    for n in range(len(starts) - 1):
        first = starts[n]
        length = starts[n + 1] - first
        asking = min(most, length)
        padded = (length + COLUMNS - 1) // COLUMNS * COLUMNS
        part = parts[first : first + length]
        for d in range(width):
            keys[d * padded + length : (d + 1) * padded] = f(0)
        biases[:, length:padded] = CLOSED  # so that softmax is over whole vectors, too
        for head in range(heads):
            query = first * step + head * width
            key, value = query + hidden, query + 2 * hidden
            _across(biases, part, gate[head])
            for t in range(length):
                row = floats[key + t * step : key + t * step + width]
                for d in range(width):
                    keys[d * padded + t] = row[d]
            for t in range(0, asking, ROWS):
                for j in range(0, padded, COLUMNS):
                    multiply_tile(floats, query + t * step, step, keys, j, padded, logits, j, padded, width)
                rows = min(ROWS, asking - t)
                for r in range(rows):
                    row = logits[r * padded : (r + 1) * padded]
                    inverse[r] = _softmax(row, biases[min(part[t + r], 1), :padded])
                for d in range(0, wide, COLUMNS):
                    multiply_tile(logits, 0, padded, floats, value + d, step, read, d, wide, length)
                for r in range(rows):
                    state, found_read = states[first + t + r, head * width : (head + 1) * width], read[r]
                    for d in range(width):
                        state[d] = found_read[d] * inverse[r]
        for t in range(first, first + asking):
            out_scales[t] = rounded(states[t], out[t])


@kernel
def _attend_in_pairs(
    sums: Any, scales: Any, weight_scales: Any, bias: Any, parts: Any, starts: Any, gate: Any, heads: Any, most: Any,
    rows: Any, queries: Any, keys: Any, values: Any, shares: Any,
    logits: Any, biases: Any, read: Any, states: Any, out: Any, out_scales: Any,
) -> None:  # fmt: skip
    """Queries [tokens, hidden] and keys [hidden / 2, padded] are paired along a head, values [tokens / 2, hidden] and
    shares [8, tokens] along the tokens. The `rows` are two tokens', before they are put there."""
    hidden = sums.shape[1] // 3
    width = hidden // heads
    wide = read.shape[1]
    step, half, span = 3 * hidden, hidden // 2, width // 2
    query_pairs, share_pairs = queries.reshape(-1).view(np.int32), shares.reshape(-1).view(np.int32)
    row_pairs = rows.view(np.int32)
    share_step = shares.shape[1] // 2
    inverse = np.empty(ROWS, dtype=np.float32)
    for n in range(len(starts) - 1):
        first = starts[n]
        length = starts[n + 1] - first
        asking = min(most, length)
        padded = (length + COLUMNS - 1) // COLUMNS * COLUMNS
        part = parts[first : first + length]
        for d in range(half):
            keys[d * padded + length : (d + 1) * padded] = 0
        for t in range(0, length, 2):
            for odd in range(2):
                row = rows[odd]
                if t + odd == length:  # an even number of values are paired
                    row[:] = 0
                    continue
                of_token, found = scales[first + t + odd], sums[first + t + odd]
                for k in range(step):
                    row[k] = to_brain(f(f(found[k]) * (of_token * weight_scales[k]) + bias[k]))
                query = queries[t + odd]
                for k in range(hidden):
                    query[k] = row[k]
                key = row_pairs[odd, half : 2 * half]
                for d in range(half):
                    keys[d * padded + t + odd] = key[d]
            value, even, odder = values[t // 2 * hidden : (t // 2 + 1) * hidden], rows[0], rows[1]
            for d in range(hidden):
                value[d] = i(even[2 * hidden + d]) | i(i(odder[2 * hidden + d]) << i(16))
        biases[:, length:padded] = CLOSED  # so that softmax is over whole vectors, too
        for head in range(heads):
            _across(biases, part, gate[head])
            for t in range(0, asking, ROWS):
                for j in range(0, padded, COLUMNS):
                    multiply_tile_of_pairs(
                        query_pairs, t * half + head * span, half, keys, head * span * padded + j, padded,
                        logits, j, padded, span,
                    )  # fmt: skip
                asked = min(ROWS, asking - t)
                for r in range(asked):
                    row = logits[r * padded : (r + 1) * padded]
                    inverse[r] = _softmax_in_brain(row, biases[min(part[t + r], 1), :padded], shares[r])
                for d in range(0, wide, COLUMNS):
                    multiply_tile_of_pairs(
                        share_pairs, 0, share_step, values, head * width + d, hidden,
                        read, d, wide, (length + 1) // 2,
                    )  # fmt: skip
                for r in range(asked):
                    state, found_read = states[first + t + r, head * width : (head + 1) * width], read[r]
                    for d in range(width):
                        state[d] = found_read[d] * inverse[r]
        for t in range(first, first + asking):
            out_scales[t] = rounded(states[t], out[t])

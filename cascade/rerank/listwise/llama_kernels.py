"""What stands between two multiplications of a Llama layer, each in one pass over the tokens.

`sums` are what a multiplication gave, [tokens, n]: int32, with `scales` of the tokens that were multiplied and
`weight_scales` of the n outputs, as in the native tower's kernels; or bfloat16, seen as uint16, where these are None.
What is multiplied next is written to `out` [tokens, n], spread with `run` and in int8 with `out_scales`, or in bfloat16
where these are None.
Attention reads bfloat16. A token's numbers come of its own row alone; `row` is room for one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cascade.inference.towers.native.elementary import exponential, f, i, rounded, to_brain
from cascade.inference.towers.native.machine_code import inlined, kernel


@inlined
def _of_brain(bits: Any) -> Any:
    return i(i(bits) << i(16)).view(np.float32)


@kernel
def _spread(row: Any, run: Any) -> None:
    half = run
    while half < len(row):
        for start in range(0, len(row), 2 * half):
            left, right = row[start : start + half], row[start + half : start + 2 * half]
            for k in range(half):
                a, b = left[k], right[k]
                left[k], right[k] = a + b, a - b
        half *= 2
    factor = np.sqrt(f(run) / f(len(row)))
    for k in range(len(row)):
        row[k] *= factor


@kernel
def spread(rows: Any, run: Any) -> None:
    """Multiplies the n / `run` numbers at distance `run` of each other, a power of two, by Hadamard's matrix, for all
    such of every row float32 [m, n]; twice is not at all. What one of them holds, all then hold in equal parts."""
    for t in range(len(rows)):
        _spread(rows[t], run)


@kernel
def normalise(states: Any, weight: Any, eps: Any, run: Any, row: Any, out: Any, out_scales: Any) -> None:
    """RMSNorm (Zhang and Sennrich, 2019) of `states` float32 [tokens, n]."""
    for t in range(len(states)):
        state = states[t]
        total = f(0)
        for k in range(len(row)):
            total += state[k] * state[k]
        inverse = f(1) / np.sqrt(total / f(len(row)) + eps)
        for k in range(len(row)):
            row[k] = state[k] * inverse * weight[k]
        if out_scales is None:
            for k in range(len(row)):
                out[t, k] = to_brain(f(row[k]))
        else:
            _spread(row, run)
            out_scales[t] = rounded(row, out[t])


@kernel
def add(sums: Any, scales: Any, weight_scales: Any, states: Any) -> None:
    """states += what was multiplied."""
    for t in range(len(sums)):
        state, found = states[t], sums[t]
        if scales is None:
            for k in range(len(found)):
                state[k] += _of_brain(found[k])
        else:
            of_token = scales[t]
            for k in range(len(found)):
                state[k] += f(found[k]) * (of_token * weight_scales[k])


@kernel
def turn(
    sums: Any, scales: Any, weight_scales: Any, cos: Any, sin: Any, first: Any, factor: Any, begin: Any, out: Any
) -> None:
    """Heads from column `first` on, times `factor`, turned by rotary positions (Su et al., 2021), or as they are where
    `cos` is None, to `out` [heads, all tokens, size] from token `begin` on."""
    size = out.shape[2]
    half = size // 2
    row, turned = np.empty(size, dtype=np.float32), np.empty(size, dtype=np.float32)
    for t in range(len(sums)):
        for h in range(out.shape[0]):
            at = first + h * size
            found, bits = sums[t, at : at + size], out[h, begin + t]
            if scales is None:
                for d in range(size):
                    row[d] = _of_brain(found[d]) * factor
            else:
                of_token, of_output = scales[t] * factor, weight_scales[at : at + size]
                for d in range(size):
                    row[d] = f(found[d]) * (of_token * of_output[d])
            if cos is None:
                for d in range(size):
                    bits[d] = to_brain(f(row[d]))
            else:
                c, s = cos[t], sin[t]
                for d in range(half):
                    turned[d] = row[d] * c[d] - row[half + d] * s[d]
                for d in range(half):
                    turned[half + d] = row[half + d] * c[d] + row[d] * s[d]
                for d in range(size):
                    bits[d] = to_brain(f(turned[d]))


@kernel
def gather(found: Any, begin: Any, run: Any, row: Any, out: Any, out_scales: Any) -> None:
    """What attention found, [heads, all tokens, size], token by token from `begin` on."""
    size = found.shape[2]
    for t in range(len(out)):
        if out_scales is None:
            for h in range(found.shape[0]):
                out[t, h * size : (h + 1) * size] = found[h, begin + t]
        else:
            for h in range(found.shape[0]):
                head = found[h, begin + t]
                for d in range(size):
                    row[h * size + d] = _of_brain(head[d])
            _spread(row, run)
            out_scales[t] = rounded(row, out[t])


@kernel
def gate(sums: Any, scales: Any, weight_scales: Any, run: Any, row: Any, out: Any, out_scales: Any) -> None:
    """silu(gate) * up (Shazeer, 2020), which stand side by side."""
    width = len(row)
    gates, ups = np.empty(width, dtype=np.float32), np.empty(width, dtype=np.float32)
    for t in range(len(sums)):
        found = sums[t]
        if scales is None:
            for k in range(width):
                gates[k] = _of_brain(found[k])
            for k in range(width):
                ups[k] = _of_brain(found[width + k])
        else:
            of_token = scales[t]
            for k in range(width):
                gates[k] = f(found[k]) * (of_token * weight_scales[k])
            for k in range(width):
                ups[k] = f(found[width + k]) * (of_token * weight_scales[width + k])
        for k in range(width):
            x = gates[k]
            slope = x if x > f(-80) else f(-80)
            row[k] = x / (f(1) + exponential(-slope)) * ups[k]
        if out_scales is None:
            for k in range(width):
                out[t, k] = to_brain(f(row[k]))
        else:
            _spread(row, run)
            out_scales[t] = rounded(row, out[t])

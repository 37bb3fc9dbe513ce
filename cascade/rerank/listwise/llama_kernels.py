"""What stands between two multiplications of a Llama layer in eight bits, each in one pass over the tokens.

As in the native tower's kernels: `sums` are the int32 [tokens, n] of a multiplication, `scales` those of the tokens
that were multiplied, `weight_scales` those of the n outputs. What is multiplied next is written to `out` int8
[tokens, n] and `out_scales`; what attention reads is bfloat16, seen as uint16. A token's numbers come of its own row
alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cascade.inference.towers.native.elementary import exponential, f, i, rounded
from cascade.inference.towers.native.machine_code import inlined, kernel


@inlined
def _to_brain(x: Any) -> Any:
    """The bits of a float32 as bfloat16, to nearest, ties to even."""
    bits = x.view(np.int32)
    return np.uint16(i(bits + i(0x7FFF) + (i(bits >> i(16)) & i(1))) >> i(16))


@inlined
def _of_brain(bits: Any) -> Any:
    return i(i(bits) << i(16)).view(np.float32)


@kernel
def normalise(states: Any, weight: Any, eps: Any, row: Any, out: Any, out_scales: Any) -> None:
    """RMSNorm (Zhang and Sennrich, 2019) of `states` float32 [tokens, n]."""
    for t in range(len(states)):
        state = states[t]
        total = f(0)
        for k in range(len(row)):
            total += state[k] * state[k]
        inverse = f(1) / np.sqrt(total / f(len(row)) + eps)
        for k in range(len(row)):
            row[k] = state[k] * inverse * weight[k]
        out_scales[t] = rounded(row, out[t])


@kernel
def add(sums: Any, scales: Any, weight_scales: Any, states: Any) -> None:
    """states += what was multiplied."""
    for t in range(len(sums)):
        state, found, of_token = states[t], sums[t], scales[t]
        for k in range(len(found)):
            state[k] += f(found[k]) * (of_token * weight_scales[k])


@kernel
def turn(sums: Any, scales: Any, weight_scales: Any, cos: Any, sin: Any, first: Any, factor: Any, out: Any) -> None:
    """Heads from column `first` on, turned by rotary positions (Su et al., 2021), to [heads, tokens, size]."""
    size = out.shape[2]
    half = size // 2
    row, turned = np.empty(size, dtype=np.float32), np.empty(size, dtype=np.float32)
    for t in range(len(sums)):
        of_token, c, s = scales[t] * factor, cos[t], sin[t]
        for h in range(out.shape[0]):
            found, of_output, bits = sums[t, first + h * size :], weight_scales[first + h * size :], out[h, t]
            for d in range(size):
                row[d] = f(found[d]) * (of_token * of_output[d])
            for d in range(half):
                turned[d] = row[d] * c[d] - row[half + d] * s[d]
            for d in range(half):
                turned[half + d] = row[half + d] * c[d] + row[d] * s[d]
            for d in range(size):
                bits[d] = _to_brain(f(turned[d]))


@kernel
def spread(sums: Any, scales: Any, weight_scales: Any, first: Any, out: Any) -> None:
    """Heads from column `first` on, as they are, to [heads, tokens, size]."""
    size = out.shape[2]
    row = np.empty(size, dtype=np.float32)
    for t in range(len(sums)):
        of_token = scales[t]
        for h in range(out.shape[0]):
            found, of_output, bits = sums[t, first + h * size :], weight_scales[first + h * size :], out[h, t]
            for d in range(size):
                row[d] = f(found[d]) * (of_token * of_output[d])
            for d in range(size):
                bits[d] = _to_brain(f(row[d]))


@kernel
def gather(found: Any, row: Any, out: Any, out_scales: Any) -> None:
    """What attention found, [heads, tokens, size], token by token."""
    size = found.shape[2]
    for t in range(found.shape[1]):
        for h in range(found.shape[0]):
            head = found[h, t]
            for d in range(size):
                row[h * size + d] = _of_brain(head[d])
        out_scales[t] = rounded(row, out[t])


@kernel
def gate(sums: Any, scales: Any, weight_scales: Any, row: Any, out: Any, out_scales: Any) -> None:
    """silu(gate) * up (Shazeer, 2020), which stand side by side."""
    width = len(row)
    for t in range(len(sums)):
        found, of_token = sums[t], scales[t]
        for k in range(width):
            x = f(found[k]) * (of_token * weight_scales[k])
            slope = x if x > f(-80) else f(-80)
            up = f(found[width + k]) * (of_token * weight_scales[width + k])
            row[k] = x / (f(1) + exponential(-slope)) * up
        out_scales[t] = rounded(row, out[t])

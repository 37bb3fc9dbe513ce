"""What stands between two multiplications of a layer, each in one pass over the tokens.

Everywhere `sums` are the int32 [tokens, n] of a multiplication, `scales` those of the tokens that were multiplied,
`weight_scales` those of the n outputs and `bias` what is added: the float is sums * scale * weight_scale + bias. What
is multiplied next is written to `out` int8 [tokens, n] and `out_scales`. What lies about another number than 0 has
`out_offsets` too: multiplied by weights that add up to `weight_sums`, each adds offset * weight_sum. A token's numbers
come of its own row alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cascade.inference.towers.native.elementary import exponential, f, normal_share, rounded, rounded_above
from cascade.inference.towers.native.machine_code import inlined, kernel

DEEPEST = f(0.171)
"""Neither form of GELU goes deeper below 0."""
TANH_CUBE, TANH_SLOPE = f(0.044715), f(2 * np.sqrt(2 / np.pi))


@inlined
def _normalise(row: Any, total: Any, scale: Any, shift: Any, eps: Any) -> None:
    """LayerNorm (Ba, Kiros and Hinton, 2016) of `row` in place, whose sum is `total`."""
    width = len(row)
    mean = total / f(width)
    variance = f(0)
    for k in range(width):
        off = row[k] - mean
        variance += off * off
    inverse = f(1) / np.sqrt(variance / f(width) + eps)
    for k in range(width):
        row[k] = (row[k] - mean) * inverse * scale[k] + shift[k]


@inlined
def _smoothly_rounded(row: Any, smooth: Any, room: Any, out: Any) -> Any:
    """As `rounded`, of `row` times `smooth`; the weights that multiply it were divided by that."""
    for k in range(len(row)):
        room[k] = row[k] * smooth[k]
    return rounded(room, out)


@kernel
def embed(
    ids: Any, positions: Any, types: Any, words: Any, places: Any, kinds: Any, scale: Any, shift: Any, eps: Any,
    smooth: Any, room: Any, states: Any, out: Any, out_scales: Any,
) -> None:  # fmt: skip
    """states = LayerNorm(word + position + type)."""
    for t in range(len(ids)):
        row, word, place, of_type = states[t], words[ids[t]], places[positions[t]], kinds[types[t]]
        total = f(0)
        for k in range(len(row)):
            row[k] = word[k] + place[k] + of_type[k]
            total += row[k]
        _normalise(row, total, scale, shift, eps)
        out_scales[t] = _smoothly_rounded(row, smooth, room, out[t])


@kernel
def add_and_normalise(
    sums: Any, scales: Any, offsets: Any, weight_scales: Any, weight_sums: Any, bias: Any,
    scale: Any, shift: Any, eps: Any, smooth: Any, room: Any, states: Any, out: Any, out_scales: Any,
) -> None:  # fmt: skip
    """states = LayerNorm(states + what was multiplied), in place."""
    for t in range(len(sums)):
        row, found, of_token, offset = states[t], sums[t], scales[t], offsets[t]
        total = f(0)
        for k in range(len(row)):
            row[k] += f(found[k]) * (of_token * weight_scales[k]) + offset * weight_sums[k] + bias[k]
            total += row[k]
        _normalise(row, total, scale, shift, eps)
        out_scales[t] = _smoothly_rounded(row, smooth, room, out[t])


@inlined
def _exact(x: Any) -> Any:
    return x * normal_share(x)


@inlined
def _by_tanh(x: Any) -> Any:
    slope = TANH_SLOPE * (x + TANH_CUBE * x * x * x)
    slope = slope if slope > f(-80) else f(-80)
    return x / (f(1) + exponential(-slope))


@inlined
def _above(x: Any) -> Any:
    return f(0) if x < f(0) else x  # NaN stays


@inlined
def _activate(
    activation: Any, deepest: Any,
    sums: Any, scales: Any, weight_scales: Any, bias: Any, row: Any, out: Any, out_scales: Any, out_offsets: Any,
) -> None:  # fmt: skip
    """`activation` of what was multiplied, which is nowhere below -`deepest`."""
    for t in range(len(sums)):
        found, of_token = sums[t], scales[t]
        for k in range(len(row)):
            row[k] = activation(f(found[k]) * (of_token * weight_scales[k]) + bias[k])
        out_scales[t], out_offsets[t] = rounded_above(row, deepest, out[t])


@kernel
def gelu(
    sums: Any, scales: Any, weight_scales: Any, bias: Any, row: Any, out: Any, out_scales: Any, out_offsets: Any
) -> None:  # fmt: skip
    """x times the normal share below x (Hendrycks and Gimpel, 2016)."""
    _activate(_exact, DEEPEST, sums, scales, weight_scales, bias, row, out, out_scales, out_offsets)


@kernel
def gelu_tanh(
    sums: Any, scales: Any, weight_scales: Any, bias: Any, row: Any, out: Any, out_scales: Any, out_offsets: Any
) -> None:  # fmt: skip
    """The same by the usual approximation, x (1 + tanh(sqrt(2/pi) (x + .044715 x^3))) / 2."""
    _activate(_by_tanh, DEEPEST, sums, scales, weight_scales, bias, row, out, out_scales, out_offsets)


@kernel
def relu(
    sums: Any, scales: Any, weight_scales: Any, bias: Any, row: Any, out: Any, out_scales: Any, out_offsets: Any
) -> None:  # fmt: skip
    """x where it is above 0, else 0."""
    _activate(_above, f(0), sums, scales, weight_scales, bias, row, out, out_scales, out_offsets)

"""Attention is the same in float32 and, but for rounding, in pairs of bfloat16."""

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from cascade.inference.towers.native.attention import InFloats, InPairs, attention
from cascade.inference.towers.native.tile import ROWS, multiplies_pairs

Array = npt.NDArray[Any]

_HEADS, _LENGTHS = 3, (40, 1, 33, 7)
_TOKENS = sum(_LENGTHS)
_STARTS = np.cumsum([0, *_LENGTHS], dtype=np.int64)
_WAYS = [InFloats, *([InPairs] if multiplies_pairs() else [])]
"""The second runs where the processor can."""


def _given(width: int) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Sums, scales of tokens and of outputs, bias, parts and gates; float32 but for the first and the fifth."""
    rng = np.random.default_rng(0)
    outputs = 3 * _HEADS * width
    sums = np.zeros((_TOKENS + ROWS, outputs), dtype=np.int32)
    sums[:_TOKENS] = rng.integers(-2000, 2000, size=(_TOKENS, outputs))
    scales = rng.uniform(0.5e-3, 1.5e-3, size=_TOKENS).astype(np.float32)
    weight_scales = rng.uniform(0.5, 1.5, size=outputs).astype(np.float32)
    weight_scales[: _HEADS * width] /= np.sqrt(width)
    bias = rng.standard_normal(outputs).astype(np.float32) / np.sqrt(np.float32(width))
    parts = np.concatenate([np.arange(length) > length // 3 for length in _LENGTHS]).astype(np.int64)
    return sums[:_TOKENS], scales, weight_scales, bias, parts, np.array([-1.0, 0.0, 2.0], dtype=np.float32)


def _expected(width: int) -> Array:
    """The library's, [tokens, hidden]."""
    sums, scales, weight_scales, bias, parts, gate = _given(width)
    floats = torch.from_numpy(sums * scales[:, None] * weight_scales + bias)
    found = []
    for start, end in pairwise(_STARTS):
        shape = (end - start, 3, _HEADS, width)
        query, key, value = floats[start:end].reshape(shape).permute(1, 2, 0, 3)
        part = torch.from_numpy(parts[start:end])
        across = (part[:, None] != part[None]) * torch.from_numpy(gate)[:, None, None]
        read = scaled_dot_product_attention(query, key, value, attn_mask=across, scale=1.0)
        found.append(read.permute(1, 0, 2).reshape(end - start, -1))
    return np.asarray(torch.cat(found))


def _found(kind: type[InFloats] | type[InPairs], width: int, most: int = _TOKENS) -> Array:
    sums, scales, weight_scales, bias, parts, gate = _given(width)
    out, out_scales = np.zeros((_TOKENS, _HEADS * width), dtype=np.int8), np.zeros(_TOKENS, dtype=np.float32)
    kind(_TOKENS, _HEADS * width, _HEADS)(
        sums, scales, weight_scales, bias, parts, _STARTS, gate, most, out, out_scales
    )
    return out * out_scales[:, None]


@pytest.mark.parametrize("width", [8, 32, 40])
@pytest.mark.parametrize("kind", _WAYS)
def test_attention_is_the_librarys_but_for_rounding(kind: type[InFloats] | type[InPairs], width: int) -> None:
    expected, found = _expected(width), _found(kind, width)

    off = np.abs(found - expected).max(axis=1) / np.abs(expected).max(axis=1)
    assert off.max() < 0.02


@pytest.mark.parametrize("kind", _WAYS)
def test_of_each_sequence_only_the_tokens_asked_for_are_written(kind: type[InFloats] | type[InPairs]) -> None:
    whole, some = _found(kind, 8), _found(kind, 8, most=5)

    asked = np.concatenate([np.arange(length) < 5 for length in _LENGTHS])
    np.testing.assert_array_equal(some[asked], whole[asked])
    assert not some[~asked].any()


def test_heads_of_an_odd_width_are_not_paired() -> None:
    assert isinstance(attention(4, 9, 3), InFloats)

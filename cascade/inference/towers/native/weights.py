"""A layer's weights in eight bits: each output has a scale of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cascade.inference.towers.bert_weights import Affine, BertLayer, BertWeights
from cascade.inference.towers.native.smooth import Smooth, smooths
from cascade.inference.towers.strip import Strip

Floats = npt.NDArray[np.float32]

_MOST = 127.0


@dataclass(frozen=True, eq=False, slots=True)
class Rounded:
    """`x W^T + b` with W in int8 [in, out], as it is multiplied: the weight of an output is `scales` [out] times it.

    `sums` [out] are those of the weights of each output.
    """

    weight: Tensor
    scales: Floats
    sums: Floats
    bias: Floats

    @staticmethod
    def of(*affines: Affine, smooth: Floats | None = None) -> Rounded:
        """Several of one input, side by side; the input will come multiplied by `smooth` [in].

        An output whose weights are all 0 keeps scale 1.
        """
        weight = torch.cat([one.weight for one in affines])
        if smooth is not None:
            weight = weight / torch.from_numpy(smooth)
        largest = weight.abs().amax(dim=1)
        scales = torch.where(largest == 0, 1.0, largest / _MOST)  # NaN stays, and is seen in the states
        whole = (weight / scales[:, None]).round().to(torch.int8)
        sums = whole.sum(dim=1, dtype=torch.int32) * scales
        return Rounded(
            whole.t().contiguous(), floats(scales), floats(sums), floats(torch.cat([one.bias for one in affines]))
        )


@dataclass(frozen=True, eq=False, slots=True)
class RoundedLayer:
    """As `BertLayer`; a LayerNorm's scale and shift stay floats. `gate` is [heads]."""

    read: Rounded
    out: Rounded
    up: Rounded
    down: Rounded
    attention_norm: tuple[Floats, Floats]
    output_norm: tuple[Floats, Floats]
    gate: Floats
    smooth: Smooth

    @staticmethod
    def of(layer: BertLayer, gate: Floats, smooth: Smooth) -> RoundedLayer:
        """The same layer, rounded."""
        width = layer.query.weight.shape[0] // len(gate)
        root = width**-0.5  # of attention, which divides by it
        query = Affine(layer.query.weight * root, layer.query.bias * root)
        return RoundedLayer(
            Rounded.of(query, layer.key, layer.value, smooth=smooth.read),
            Rounded.of(layer.out),
            Rounded.of(layer.up, smooth=smooth.up),
            Rounded.of(layer.down),
            norm(layer.attention_norm),
            norm(layer.output_norm),
            gate,
            smooth,
        )


def rounded_layers(weights: BertWeights, strips: Sequence[Strip]) -> list[RoundedLayer]:
    """All layers, from the first, smoothed by what `strips` of natural text make them multiply."""
    closed = np.zeros((len(weights.layers), weights.heads), dtype=np.float32)
    gates = closed if weights.gate is None else floats(weights.gate)
    together = zip(weights.layers, gates, smooths(weights, strips), strict=True)
    return [RoundedLayer.of(layer, gate, smooth) for layer, gate, smooth in together]


def norm(affine: Affine) -> tuple[Floats, Floats]:
    """Scale and shift."""
    return floats(affine.weight), floats(affine.bias)


def floats(tensor: Tensor) -> Floats:
    """The same numbers, in the same memory where they are float32 already."""
    return np.ascontiguousarray(tensor.detach().float().numpy())

"""A layer's weights in eight bits: each output has a scale of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cascade.inference.towers.bert_weights import Affine, BertLayer, BertWeights

Floats = npt.NDArray[np.float32]

_MOST = 127.0


@dataclass(frozen=True, eq=False, slots=True)
class Rounded:
    """`x W^T + b` with W in int8 [in, out], as it is multiplied: the weight of an output is `scales` [out] times it."""

    weight: Tensor
    scales: Floats
    bias: Floats

    @staticmethod
    def of(*affines: Affine) -> Rounded:
        """Several of one input, side by side. An output whose weights are all 0 keeps scale 1."""
        weight = torch.cat([one.weight for one in affines])
        largest = weight.abs().amax(dim=1)
        scales = torch.where(largest == 0, 1.0, largest / _MOST)  # NaN stays, and is seen in the states
        whole = (weight / scales[:, None]).round().to(torch.int8)
        return Rounded(whole.t().contiguous(), floats(scales), floats(torch.cat([one.bias for one in affines])))


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

    @staticmethod
    def of(layer: BertLayer, gate: Floats) -> RoundedLayer:
        """The same layer, rounded."""
        width = layer.query.weight.shape[0] // len(gate)
        root = width**-0.5  # of attention, which divides by it
        query = Affine(layer.query.weight * root, layer.query.bias * root)
        return RoundedLayer(
            Rounded.of(query, layer.key, layer.value),
            Rounded.of(layer.out),
            Rounded.of(layer.up),
            Rounded.of(layer.down),
            norm(layer.attention_norm),
            norm(layer.output_norm),
            gate,
        )


def rounded_layers(weights: BertWeights) -> list[RoundedLayer]:
    """All layers, from the first."""
    closed = np.zeros((len(weights.layers), weights.heads), dtype=np.float32)
    gates = closed if weights.gate is None else floats(weights.gate)
    return [RoundedLayer.of(layer, gate) for layer, gate in zip(weights.layers, gates, strict=True)]


def norm(affine: Affine) -> tuple[Floats, Floats]:
    """Scale and shift."""
    return floats(affine.weight), floats(affine.bias)


def floats(tensor: Tensor) -> Floats:
    """The same numbers, in the same memory where they are float32 already."""
    return np.ascontiguousarray(tensor.detach().float().numpy())

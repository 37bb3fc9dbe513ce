"""Shares a model's outlying channels between what is multiplied and its weights, before both are rounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cascade.inference.towers.bert_weights import Affine, BertWeights
from cascade.inference.towers.packed_bert import PackedBert, Times
from cascade.inference.towers.strip import Strip

Floats = npt.NDArray[np.float32]

_LEAST = 1e-4
"""Of a largest magnitude, so that no channel is multiplied without bounds."""


@dataclass(frozen=True, eq=False, slots=True)
class Smooth:
    """What a layer's states are multiplied by [hidden] before they are rounded for attention, and for going up."""

    read: Floats
    up: Floats


class _Largest:
    """The largest magnitude of each channel that was given to a multiplication."""

    def __init__(self, times: Times) -> None:
        self._times = times
        self.found = torch.zeros(1)

    def __call__(self, states: Tensor) -> Tensor:
        self.found = torch.maximum(self.found, states.abs().amax(dim=0))
        return self._times(states)


def smooths(weights: BertWeights, strips: Sequence[Strip]) -> list[Smooth]:
    """Of every layer, as in SmoothQuant (Xiao et al., 2023) with alpha 1/2; without strips nothing is smoothed.

    A few channels are many times larger than all others, in every token, and set the scale of their rounding. Each is
    made smaller by the root of its largest magnitude over that of its weights, which are made larger by as much.
    """
    if not strips:
        plain = np.ones(weights.hidden, dtype=np.float32)
        return [Smooth(plain, plain) for _ in weights.layers]
    model = PackedBert(weights, torch.float32)
    watched: list[tuple[_Largest, _Largest]] = []
    for layer in model.layers:
        read, up = _Largest(layer.read), _Largest(layer.up)
        layer.read, layer.up = read, up
        watched.append((read, up))
    with torch.inference_mode():
        for strip in strips:
            model.states(strip)
    return [
        Smooth(_shared(read.found, layer.query, layer.key, layer.value), _shared(up.found, layer.up))
        for layer, (read, up) in zip(weights.layers, watched, strict=True)
    ]


def _shared(largest: Tensor, *affines: Affine) -> Floats:
    weight = torch.cat([one.weight for one in affines]).abs().amax(dim=0).clamp_min(_LEAST)
    share = (weight / largest.clamp_min(_LEAST)).sqrt()
    share = share / share.log().mean().exp()
    return np.ascontiguousarray(share.numpy(), dtype=np.float32)

"""A trained model as its difference to a base, eight bits a weight: small enough to ship beside the code."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_QUANTISED = ".int8"
_SCALE = ".scale"
_WHOLE = ".fp16"
_LAYER = re.compile(r"\.layer\.(\d+)\.")


def pack(trained: Mapping[str, Tensor], base: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What must be kept of `trained` by someone who has `base`; what is the same in the base's precision is left out.

    A matrix keeps one fp32 scale for each row (output), the row's largest change over 127, so every weight
    comes back within half a scale. Vectors keep their change in fp16. A tensor that `base` does not have keeps
    itself, as a change from zero.
    """
    import torch

    packed: dict[str, Tensor] = {}
    for name, tensor in trained.items():
        start = base.get(name)
        change = tensor.float() if start is None else tensor.float() - start.float()
        if start is not None and torch.equal(tensor.to(start.dtype), start):
            continue
        if start is None or change.ndim < 2:
            packed[name + _WHOLE] = change.half()
            continue
        scale = change.abs().amax(dim=1, keepdim=True) / 127
        steps = torch.round(change / torch.where(scale == 0, torch.ones_like(scale), scale))
        packed[name + _QUANTISED] = steps.to(torch.int8)
        packed[name + _SCALE] = scale
    return packed


def unpack(packed: Mapping[str, Tensor], base: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The trained tensors: `base` plus the kept changes, which are in fp32; the others are as they were."""
    restored = dict(base)
    for key, kept in packed.items():
        if key.endswith(_QUANTISED):
            name = key.removesuffix(_QUANTISED)
            change = kept.float() * packed[name + _SCALE]
        elif key.endswith(_WHOLE):
            name = key.removesuffix(_WHOLE)
            change = kept.float()
        else:
            continue
        restored[name] = restored[name].float() + change if name in restored else change
    return restored


def nearest_layers(trained: Mapping[str, Tensor], base: Mapping[str, Tensor]) -> list[int]:
    """For each layer of `trained` the layer of `base` that it is nearest to, by the sum of squared differences.

    Layers are told by `.layer.N.` in the names of their tensors. A student that was made of some of a model's layers
    stays near those, however long it learned.
    """

    def distance(mine: int, other: int) -> float:
        pairs = (
            (tensor, base[_LAYER.sub(f".layer.{other}.", name)])
            for name, tensor in trained.items()
            if _number(name) == mine
        )
        return sum(float((tensor.float() - start.float()).pow(2).sum()) for tensor, start in pairs)

    others = sorted({number for number in map(_number, base) if number is not None})
    mine = sorted({number for number in map(_number, trained) if number is not None})
    return [min(others, key=lambda other: distance(number, other)) for number in mine]


def with_layers(base: Mapping[str, Tensor], layers: Sequence[int]) -> dict[str, Tensor]:
    """The tensors of `base` with these of its layers, in this order, numbered from 0."""
    chosen = {name: tensor for name, tensor in base.items() if _number(name) is None}
    for number, layer in enumerate(layers):
        for name, tensor in base.items():
            if _number(name) == layer:
                chosen[_LAYER.sub(f".layer.{number}.", name)] = tensor
    return chosen


def _number(name: str) -> int | None:
    found = _LAYER.search(name)
    return int(found[1]) if found else None

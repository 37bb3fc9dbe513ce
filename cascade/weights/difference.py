"""A trained model as its difference to a base, eight bits a weight: small enough to ship beside the code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_QUANTISED = ".int8"
_SCALE = ".scale"
_WHOLE = ".fp16"


def pack(trained: Mapping[str, Tensor], base: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What must be kept of `trained` by someone who has `base`; tensors that did not change are left out.

    A matrix keeps one fp32 scale for each row (output), the row's largest change over 127, so every weight
    comes back within half a scale. Vectors keep their change in fp16. A tensor that `base` does not have keeps
    itself, as a change from zero.
    """
    import torch

    packed: dict[str, Tensor] = {}
    for name, tensor in trained.items():
        start = base.get(name)
        change = tensor.float() if start is None else tensor.float() - start.float()
        if not bool(change.any()):
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
    """The trained tensors in fp32: `base` plus the kept changes."""
    restored = {name: tensor.float() for name, tensor in base.items()}
    for key, kept in packed.items():
        if key.endswith(_QUANTISED):
            name = key.removesuffix(_QUANTISED)
            change = kept.float() * packed[name + _SCALE]
        elif key.endswith(_WHOLE):
            name = key.removesuffix(_WHOLE)
            change = kept.float()
        else:
            continue
        restored[name] = restored[name] + change if name in restored else change
    return restored

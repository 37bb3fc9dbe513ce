"""Spreads what stands out in a few channels over many, so that eight bits hold it."""

from __future__ import annotations

import torch
from torch import Tensor

from cascade.rerank.listwise import llama_kernels as kernels

_MOST = 64


def run_of(width: int) -> int:
    """The distance of the channels that share what they hold: a power of two of them, and at most 64."""
    return width // min(width & -width, _MOST)


def spread(weight: Tensor) -> Tensor:
    """float32 [out, in], of a linear map that gives of spread inputs what `weight` gives of them as they were.

    Both are multiplied by Hadamard's matrix, which is its own inverse (as in QuaRot, Ashkboos et al., 2024). A few of a
    language model's channels are many times larger than all others, and would set the scale of their rounding.
    """
    rows = weight.detach().to(torch.float32, copy=True)
    kernels.spread(rows.numpy(), run_of(rows.shape[1]))
    return rows

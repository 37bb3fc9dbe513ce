"""Layers like BERT's in eight bits: whole numbers multiplied by the processor's own instructions, all else compiled."""

from __future__ import annotations

from importlib.util import find_spec

_FAST = ("avx512_vnni", "amx_int8")
"""What of a processor multiplies bytes and sums them in 32 bits, without saturating on the way."""


def available() -> bool:
    """Whether this processor multiplies bytes faster than floats, and what the tower needs is installed."""
    import torch

    able = torch.cpu.get_capabilities()
    return any(able.get(name) for name in _FAST) and hasattr(torch, "_int_mm") and find_spec("numba") is not None

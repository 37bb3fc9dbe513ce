"""Which device a model runs on, in which number format, and how library output is kept quiet."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def pick_device(wanted: str) -> str:
    """`wanted` as given, or for `auto` the best there is: cuda, then mps, then cpu."""
    if wanted != "auto":
        return wanted
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def pick_dtype(device: str) -> torch.dtype:
    """bfloat16 where the device multiplies it in hardware, float32 elsewhere: there bfloat16 is emulated and slow."""
    import torch

    if device.startswith("cuda"):
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    if device == "cpu":
        able = torch.cpu.get_capabilities()
        return torch.bfloat16 if able.get("avx512_bf16") or able.get("amx_bf16") or able.get("bf16") else torch.float32
    return torch.float32


def hide_loading_bars() -> None:
    """Keep transformers' own loading bars off a server's log and a command's JSON."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # the library does not type it

"""Which device a model runs on, and how library output is kept quiet."""

from __future__ import annotations


def pick_device(wanted: str) -> str:
    """`wanted` as given, or for `auto` the best there is: cuda, then mps, then cpu."""
    if wanted != "auto":
        return wanted
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def hide_loading_bars() -> None:
    """Keep transformers' own loading bars off a server's log and a command's JSON."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # the library does not type it

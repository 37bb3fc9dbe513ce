"""The embedded cross-encoder of three layers: half the time of the one of six."""

from __future__ import annotations

from pathlib import Path

from cascade.weights import cross_encoder


def materialise(cache_root: Path) -> Path:
    """A folder of a pair encoder; written in about a second at first use."""
    return cross_encoder.materialise(cache_root, "cross-encoder-l3")

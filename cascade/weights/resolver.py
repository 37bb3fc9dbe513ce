"""Turns a model reference of a cascade file into a folder that the model libraries can load."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Protocol, cast

from cascade.errors import ModelLoadError
from cascade.weights.cache import default_cache_root

PREFIX = "embedded:"

# Name after "embedded:" -> module with `materialise(cache_root: Path) -> Path`, imported at first use.
EMBEDDED = {
    "all-minilm-l6-v2": "cascade.weights.all_minilm",
    "cross-encoder": "cascade.weights.cross_encoder",
    "cross-encoder-l12": "cascade.weights.cross_encoder_l12",
    "cross-encoder-l3": "cascade.weights.cross_encoder_l3",
    "late-interaction": "cascade.weights.late_interaction",
    "listwise": "cascade.weights.listwise",
    "multilingual-e5-small": "cascade.weights.multilingual_e5",
    "smollm2-135m-instruct": "cascade.weights.smollm2",
}


class _Materialiser(Protocol):
    def materialise(self, cache_root: Path) -> Path: ...


_cache_root: Path | None = None


def set_cache_root(root: Path) -> None:
    """Where this process keeps derived weights from now on, instead of `$XDG_CACHE_HOME/cascade`."""
    global _cache_root
    _cache_root = root


def cache_root() -> Path:
    """Where this process keeps what it derives from weights."""
    return _cache_root or default_cache_root()


def resolve(reference: str, *, cache_root: Path | None = None) -> Path:
    """The folder of an `embedded:NAME` reference, made ready in the cache at first use.

    Raises ModelLoadError for a name that does not exist, or when the package with the weights is missing.
    """
    name = reference.removeprefix(PREFIX)
    if not reference.startswith(PREFIX) or name not in EMBEDDED:
        known = ", ".join(f"{PREFIX}{known}" for known in sorted(EMBEDDED))
        raise ModelLoadError(reference, f"not an embedded model; those that exist are {known}")
    module = cast("_Materialiser", importlib.import_module(EMBEDDED[name]))
    return module.materialise(cache_root or _cache_root or default_cache_root())


def resolve_model(reference: str, *, cache_root: Path | None = None) -> str:
    """What to hand to `from_pretrained`: a folder for embedded models and paths, a hub id unchanged.

    Raises ModelLoadError for a path that does not exist, so that it is never taken for a hub id.
    """
    if reference.startswith(PREFIX):
        return str(resolve(reference, cache_root=cache_root))
    if reference.startswith(("/", "./", "../", "~")):
        path = Path(reference).expanduser()
        if not path.is_dir():
            found = "a file" if path.exists() else "nothing"
            raise ModelLoadError(
                reference, f"found {found} at {path.absolute()}, expected a model folder; correct the path"
            )
        return str(path)
    return reference

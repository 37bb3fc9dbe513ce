"""Finds model weights: those embedded in installed packages, and those at a path or on a hub."""

from cascade.weights.resolver import cache_root, resolve, resolve_model, set_cache_root

__all__ = ["cache_root", "resolve", "resolve_model", "set_cache_root"]

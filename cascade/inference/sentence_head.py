"""From the states of a text's tokens to the one vector that stands for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from cascade.inference.template import Template
from cascade.inference.text_encoder import text_backbone
from cascade.inference.towers.backbone import Backbone
from cascade.inference.towers.strip import Strip
from cascade.inference.towers.tower import States

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_POOLINGS = ("mean", "cls", "max", "lasttoken")
_LEAST_NORM = 1e-12


class SentenceHead:
    """Pools states, puts the library's dense layers on, and gives float32 vectors of unit length."""

    def __init__(self, poolings: Sequence[str], layers: Sequence[nn.Module]) -> None:
        self._poolings = poolings
        self._layers = layers

    def __call__(self, states: States, strip: Strip) -> list[npt.NDArray[np.float32]]:
        """Of every sequence its vector [dimensions]."""
        pooled = [_pooled(states, strip, pooling) for pooling in self._poolings]
        vectors: npt.NDArray[Any] = pooled[0] if len(pooled) == 1 else np.concatenate(pooled, axis=1)
        if self._layers:
            features: dict[str, Any] = {"sentence_embedding": torch.from_numpy(vectors)}
            with torch.inference_mode():
                for layer in self._layers:
                    features = layer(features)
            vectors = features["sentence_embedding"].numpy()
        norms = np.sqrt((vectors * vectors).sum(axis=1, keepdims=True))
        return list(vectors / np.maximum(norms, _LEAST_NORM))


def _pooled(states: States, strip: Strip, pooling: str) -> npt.NDArray[np.float32]:
    if pooling == "cls":
        return states[strip.shown[:-1]]
    starts = strip.starts[:-1]
    if pooling == "lasttoken":
        return states[strip.starts[1:] - 1]
    if pooling == "max":
        return np.maximum.reduceat(states, starts, axis=0)
    return np.divide(np.add.reduceat(states, starts, axis=0), strip.lengths[:, None], dtype=np.float32)


def taken_apart(model: SentenceTransformer) -> tuple[Backbone, Template, SentenceHead] | None:
    """The layers of a bi-encoder, its special tokens and its head; None where it is not known how they go together.

    The model is on the processor. Its own parts are used, and it is not to be run any more.
    """
    from sentence_transformers.base.modules import Dense, Normalize
    from sentence_transformers.sentence_transformer.modules import Pooling

    first, *rest = model
    module: Any = first
    if not rest or type(rest[0]) is not Pooling or model.truncate_dim is not None:
        return None
    pooling: Any = rest[0]
    modes = (pooling.pooling_mode,) if isinstance(pooling.pooling_mode, str) else tuple(pooling.pooling_mode)
    layers: list[Any] = rest[1:]
    plain = all(type(layer) in (Dense, Normalize) and _on_vectors(layer) for layer in layers)
    if not plain or not set(modes) <= set(_POOLINGS) or not pooling.include_prompt:
        return None
    if getattr(module, "query_length", None) or getattr(module, "document_length", None):
        return None
    parts = text_backbone(first)
    if parts is None:
        return None
    backbone, template = parts
    template = replace(template, only_first=modes == ("cls",))
    return backbone, template, SentenceHead(modes, [layer.float() for layer in layers])


def _on_vectors(layer: Any) -> bool:
    return bool(layer.module_input_name == layer.module_output_name == "sentence_embedding")

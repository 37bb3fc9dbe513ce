"""From the states of a text's tokens to the vectors that stand for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from cascade.inference.template import Template
from cascade.inference.text_encoder import text_backbone
from cascade.inference.towers.backbone import Backbone
from cascade.inference.towers.strip import Strip, Tokens
from cascade.inference.towers.tower import States

if TYPE_CHECKING:
    from sentence_transformers import MultiVectorEncoder

Vectors = npt.NDArray[np.float32]


class TokenHead:
    """Puts the library's layers on every token's state."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        self._layers = layers

    def __call__(self, states: States, strip: Strip) -> list[Vectors]:
        """Of every sequence float32 [its tokens, dimensions]."""
        features: dict[str, Any] = {"token_embeddings": torch.from_numpy(states)}
        with torch.inference_mode():
            for layer in self._layers:
                features = layer(features)
        return np.split(features["token_embeddings"].numpy(), strip.starts[1:-1])


@dataclass(frozen=True, eq=False)
class Skips:
    """Which tokens have a vector that is compared: not those of the skip list, and of a document only those listed."""

    skipped: npt.NDArray[np.int64]
    of_queries: bool
    of_documents: bool
    listed: npt.NDArray[np.int64] | None

    def kept(self, vectors: Vectors, tokens: Tokens, *, query: bool) -> Vectors:
        """Of `vectors` [tokens, dimensions] the rows that are compared."""
        keep = np.ones(tokens.length, dtype=np.bool_)
        if self.of_queries if query else self.of_documents:
            keep &= ~np.isin(tokens.ids, self.skipped)
        if self.listed is not None and not query:
            keep &= np.isin(tokens.ids, self.listed)
        return vectors if keep.all() else vectors[keep]


@dataclass(frozen=True)
class Expansion:
    """A query is filled up with `token` to `length` tokens, which is also the most where `fixed`.

    With `attend` the query's own tokens read them too; else only they read the query's.
    """

    token: int
    length: int
    fixed: bool
    attend: bool

    def fill(self, query: Tokens) -> Tokens:
        """The query with what it is expanded by; that is of part -1 where it is not read."""
        more = max(self.length - query.length, 0)
        ids = np.concatenate([query.ids, np.full(more, self.token)])
        parts = np.concatenate([query.parts, np.full(more, 0 if self.attend else -1)])
        zeros = np.zeros(more, dtype=np.int64)
        return Tokens(ids, np.arange(len(ids), dtype=np.int64), np.concatenate([query.types, zeros]), parts)


@dataclass(frozen=True, eq=False)
class Parts:
    """A multi-vector model, taken apart."""

    backbone: Backbone
    template: Template
    head: TokenHead
    skips: Skips
    expansion: Expansion | None


def taken_apart(model: MultiVectorEncoder) -> Parts | None:
    """None where it is not known how the model's parts go together.

    The model is on the processor. Its own parts are used, and it is not to be run any more.
    """
    from sentence_transformers.base.modules import Dense, Normalize
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

    first, *rest = model
    layers: list[Any] = [layer for layer in rest if type(layer) in (Dense, Normalize)]
    masks: list[Any] = [layer for layer in rest if type(layer) is MultiVectorMask]
    if len(masks) != 1 or len(layers) + 1 != len(rest):
        return None
    if any(not layer.module_input_name == layer.module_output_name == "token_embeddings" for layer in layers):
        return None
    found = text_backbone(first)
    if found is None:
        return None
    tokenizer: Any = model.tokenizer
    mask = masks[0]
    words, tasks = mask._skiplist_ids, mask.skiplist_tasks
    skipped = np.zeros(0, dtype=np.int64) if words is None else words.cpu().numpy()
    listed = np.asarray(mask.keep_only_token_ids, dtype=np.int64) if mask.keep_only_token_ids else None
    skips = Skips(skipped, "query" in tasks, "document" in tasks, listed)
    head = TokenHead([layer.float() for layer in layers])
    return Parts(*found, head, skips, _expansion(first, tokenizer))


def _expansion(module: Any, tokenizer: Any) -> Expansion | None:
    settings = module.query_expansion
    if settings is None:
        return None
    if settings["token"] is not None:
        token = tokenizer.convert_tokens_to_ids(settings["token"])
    else:
        token = tokenizer.eos_token_id if tokenizer.mask_token_id is None else tokenizer.mask_token_id
    token = tokenizer.pad_token_id if token is None else token
    return Expansion(int(token), int(settings["length"]), settings["strategy"] == "fixed", bool(settings["attend"]))

"""The bi-encoder that negatives are mined with, and how questions are picked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from cascade.train.data import Encode
from cascade.weights import resolve_model

_Item = TypeVar("_Item")


def vectors_of(reference: str, *, max_length: int = 192, bf16: bool = True) -> Encode:
    """Texts to the unit vectors of the bi-encoder `reference`, which is loaded when it is first needed."""

    def encode(texts: Sequence[str]) -> Any:
        import torch
        from sentence_transformers import SentenceTransformer

        model = SentenceTransformer(resolve_model(reference), device="cpu", local_files_only=True)
        model.max_seq_length = max_length
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            return model.encode(list(texts), normalize_embeddings=True, show_progress_bar=True)

    return encode


def spread_out(items: Sequence[_Item], limit: int) -> list[_Item]:
    """At most `limit` items, taken at even distances, so that every part of a collection is in."""
    step = max(1.0, len(items) / limit) if limit else 1.0
    return [items[int(index * step)] for index in range(min(limit, len(items)))]

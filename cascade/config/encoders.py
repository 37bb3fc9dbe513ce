"""Tiers in which an encoder reads."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cascade.config.fields import Model, Name
from cascade.config.tier import PointwiseTier
from cascade.inference.towers.tower import Backend


class _EncoderTier(PointwiseTier):
    """An encoder reads, run by `backend`; `deterministic` asks for one that gives a document's score the same bits
    whatever other documents it is read with.
    """

    backend: Backend = "auto"
    deterministic: bool = False


class CrossEncoderConfig(_EncoderTier):
    """A sentence-transformers CrossEncoder reads query and document together, in `max_length` tokens or all it can."""

    kind: Literal["cross_encoder"]
    name: Name = "cross_encoder"
    model: Model = "embedded:cross-encoder"
    max_length: int = Field(256, ge=16, le=8192)
    max_batch_tokens: int = Field(4096, ge=64)


class LateInteractionConfig(_EncoderTier):
    """Sum over the query's tokens of the best cosine among the document's (ColBERT, Khattab and Zaharia, 2020)."""

    kind: Literal["late_interaction"]
    name: Name = "late_interaction"
    model: Model = "embedded:late-interaction"
    max_query_tokens: int = Field(32, ge=4, le=512)
    max_doc_tokens: int = Field(180, ge=16, le=8192)
    max_batch_tokens: int = Field(4096, ge=64)

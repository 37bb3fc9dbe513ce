"""What is told about an index and about a change to it, and what an index asks of an encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from cascade.errors import ModelLoadError
from cascade.stages import StoredVectors, TokenisedText

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Encoding:
    """The models whose vectors an index holds, fixed when it is created; without token vectors their model is empty."""

    encoder: str
    dimensions: int
    token_vectors: str = ""
    token_dimensions: int = 0


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """One version of an index: `vector_recall` is the measured recall at 100 of its vector search, 1 when exact.

    `token_vectors` is the multi-vector model whose token vectors it holds, empty when it holds none; a document's take
    `token_vector_bytes_per_document` in the mean. `tokenizer` is the fingerprint of the tokenizer whose ids it holds,
    empty when it holds none; a document's take `token_id_bytes_per_document`. `problem` is empty unless the index
    cannot be read; the other facts are then unknown.
    """

    name: str
    version: int
    documents: int
    encoder: str
    dimensions: int
    vector_search: str
    vector_recall: float
    updated_at: datetime
    problem: str = ""
    token_vectors: str = ""
    token_vector_bytes_per_document: float = 0.0
    tokenizer: str = ""
    token_id_bytes_per_document: float = 0.0


@dataclass(frozen=True, slots=True)
class Change:
    """What an upsert or delete did, and the index after it."""

    added: int
    replaced: int
    deleted: int
    info: IndexInfo


class DocumentEncoder(Protocol):
    """Turns passages into vectors of unit length."""

    reference: str

    @property
    def dimensions(self) -> int:
        """Components of a vector."""
        ...

    def encode_documents(self, passages: Sequence[str]) -> Vectors:
        """float32 vectors (n, dimensions) of unit length, in this thread."""
        ...


class Tokeniser(Protocol):
    """Turns texts into token ids without special tokens; one of the same `fingerprint` gives the same ids."""

    fingerprint: str
    """Empty for one that cannot be compared with others."""

    def __call__(self, texts: Sequence[str]) -> Sequence[TokenisedText]:
        """The ids of every text, in order, in this thread."""
        ...


@runtime_checkable
class SupportsTokenIds(Protocol):
    """A document encoder that reads token ids, which an index then keeps for all models that read the same."""

    def tokeniser(self) -> Tokeniser | None:
        """What makes them, if it has one. Raises ModelLoadError."""
        ...


class TokenEncoder(Protocol):
    """Turns each passage into vectors of its tokens."""

    reference: str

    @property
    def dimensions(self) -> int:
        """Components of a vector."""
        ...

    def encode_documents(self, passages: Sequence[str]) -> Sequence[StoredVectors]:
        """The vectors of every passage, in order, in this thread."""
        ...


def no_token_encoder(reference: str) -> TokenEncoder:
    """Where there are no multi-vector models. Raises ModelLoadError."""
    raise ModelLoadError(reference, "no token vectors can be made here; create the index without them")

"""What is told about an index and about a change to it, and what an index asks of an encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """One version of an index: `vector_recall` is the measured recall at 100 of its vector search, 1 when exact.

    `problem` is empty unless the index cannot be read; the other facts are then unknown.
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

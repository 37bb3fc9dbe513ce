"""MaxSim: how well a query's token vectors are met by a document's, exactly and for many documents at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from cascade.inference.stored_vectors import restored
from cascade.stages import StoredVectors

Vectors = npt.NDArray[np.float32]

_TOKENS_AT_A_TIME = 32_768  # of documents: with 32 query tokens 4 MiB of cosines, which stay in a processor's cache


def maxsim(query: Vectors, documents: Sequence[Vectors | StoredVectors]) -> npt.NDArray[np.float64]:
    """One score from -1 to 1 for each document: the mean over the query's tokens of the best cosine among its tokens.

    Each of `documents` is float32 (tokens, dimensions) of unit vectors, `query` likewise; a query vector of another
    length counts by its length:

        sum_i max_j q_i . d_j  /  sum_i |q_i|                                   (Khattab and Zaharia, 2020, "ColBERT")

    A document without tokens gets -1, less than any other.
    """
    vectors = [restored(one) if isinstance(one, StoredVectors) else one for one in documents]
    scores = np.full(len(documents), -1.0, dtype=np.float64)
    weight = float(np.linalg.norm(query, axis=1).sum()) if len(query) else 0.0
    for rows in _chunks([len(document) for document in vectors]):
        if not weight:
            scores[rows] = 0.0
            continue
        lengths = np.array([len(vectors[row]) for row in rows])
        packed = np.concatenate([vectors[row] for row in rows])
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        best = np.maximum.reduceat(packed @ query.T, starts, axis=0)
        scores[rows] = best.sum(axis=1, dtype=np.float64) / weight
    return scores


def _chunks(lengths: Sequence[int]) -> Iterator[list[int]]:
    """The documents that have tokens, in order, in groups that fit one multiplication."""
    rows: list[int] = []
    total = 0
    for row, length in enumerate(lengths):
        if not length:
            continue
        if rows and total + length > _TOKENS_AT_A_TIME:
            yield rows
            rows, total = [], 0
        rows.append(row)
        total += length
    if rows:
        yield rows

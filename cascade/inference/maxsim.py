"""MaxSim: how well a query's token vectors are met by a document's, exactly and for many documents at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from cascade.inference.stored_vectors import PackedVectors, addresses
from cascade.stages import StoredVectors

Vectors = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float64]

_TOKENS_AT_A_TIME = 32_768  # of documents: with 32 query tokens 4 MiB of cosines, which stay in a processor's cache
_COLUMNS = 32
"""Query tokens that are compared at a time by compiled code."""
_FEW = 16_384
"""Tokens of documents below which a second thread costs more than it saves."""
_STEPS = 127


def maxsim(query: Vectors, documents: Sequence[Vectors | StoredVectors], *, threads: int = 1) -> Scores:
    """One score from -1 to 1 for each document: the mean over the query's tokens of the best cosine among its tokens.

    Each of `documents` is float32 (tokens, dimensions) of unit vectors, or such vectors as an index stores them, which
    are read as they are, with the query in eight bits too; `query` is float32; a query vector of another length counts
    by its length. Raises ValueError where their dimensions differ:

        sum_i max_j q_i . d_j  /  sum_i |q_i|                                   (Khattab and Zaharia, 2020, "ColBERT")

    A document without tokens gets -1, less than any other.
    """
    weight = float(np.linalg.norm(query, axis=1).sum()) if len(query) else 0.0
    scores = np.full(len(documents), -1.0, dtype=np.float64)
    vectors = [one.vectors if isinstance(one, StoredVectors) else one for one in documents]
    for dimensions in {one.shape[1] for one in vectors}:
        if dimensions != query.shape[1]:
            raise ValueError(f"found vectors of {dimensions} dimensions, expected the query's {query.shape[1]}")
    rows = [row for row, one in enumerate(vectors) if len(one)]
    if not weight:
        scores[rows] = 0.0
        return scores
    stored = [row for row in rows if isinstance(documents[row], StoredVectors)]
    floats = [row for row in rows if not isinstance(documents[row], StoredVectors)]
    if stored:
        packed = PackedVectors.of([cast("StoredVectors", documents[row]) for row in stored])
        scores[stored] = _best_packed(query, packed, threads) / weight
    if floats:
        scores[floats] = _best_floats(query, [cast("Vectors", documents[row]) for row in floats], threads) / weight
    return scores


def _best_packed(query: Vectors, documents: PackedVectors, threads: int) -> Scores:
    from cascade.inference.maxsim_kernel import processor_can, sum_best_int8

    if not processor_can() or query.shape[1] % 4:
        return _best_floats(query, documents.restored(), threads)
    where = documents.addresses, documents.lengths, documents.starts, documents.scales
    found = np.zeros(len(documents), dtype=np.float32)
    for part in _columns(query):
        largest = np.abs(part).max(axis=1)
        scales = np.maximum(largest / _STEPS, np.finfo(np.float32).tiny).astype(np.float32)
        steps = np.rint(part / scales[:, None])
        given = _packed(steps), _undone(steps), scales

        def run(first: int, last: int, given: Sequence[Any] = given) -> None:
            sum_best_int8(*where, *given, first, last, found)

        _shared(run, documents.lengths, threads)
    return found.astype(np.float64)


def _best_floats(query: Vectors, documents: Sequence[Vectors], threads: int) -> Scores:
    from cascade.inference.maxsim_kernel import processor_can, sum_best_float32

    if not processor_can():
        return _multiplied(query, documents)
    vectors = [np.ascontiguousarray(one, dtype=np.float32) for one in documents]
    found = np.zeros(len(vectors), dtype=np.float32)
    lengths = np.array([len(one) for one in vectors], dtype=np.int64)
    where, nothing = addresses(vectors), np.zeros(_COLUMNS, dtype=np.float32)
    for part in _columns(query):
        columns = np.zeros((query.shape[1], _COLUMNS), dtype=np.float32)
        columns[:, : len(part)] = part.T
        given = columns.ravel(), nothing, len(part)

        def run(first: int, last: int, given: Sequence[Any] = given) -> None:
            sum_best_float32(where, lengths, *given, first, last, found)

        _shared(run, lengths, threads)
    return found.astype(np.float64)


def _multiplied(query: Vectors, documents: Sequence[Vectors]) -> Scores:
    """The same sums by matrix multiplication, for any processor."""
    found = np.zeros(len(documents), dtype=np.float64)
    for rows in _chunks([len(document) for document in documents]):
        lengths = np.array([len(documents[row]) for row in rows])
        packed = np.concatenate([documents[row] for row in rows])
        starts = np.cumsum(lengths) - lengths
        best = np.maximum.reduceat(packed @ query.T, starts, axis=0)
        found[rows] = best.sum(axis=1, dtype=np.float64)
    return found


def _chunks(lengths: Sequence[int]) -> Iterator[list[int]]:
    """The documents in order, in groups that fit one multiplication."""
    rows: list[int] = []
    total = 0
    for row, length in enumerate(lengths):
        if rows and total + length > _TOKENS_AT_A_TIME:
            yield rows
            rows, total = [], 0
        rows.append(row)
        total += length
    if rows:
        yield rows


def _columns(query: Vectors) -> Iterator[Vectors]:
    """The query's tokens, as many as are compared at a time."""
    for start in range(0, len(query), _COLUMNS):
        yield query[start : start + _COLUMNS]


def _packed(steps: Vectors) -> npt.NDArray[np.int32]:
    """Whole numbers [tokens, dimensions] of eight bits, four of a token together: [dimensions / 4, 32], flat."""
    tokens, dimensions = steps.shape
    columns = np.zeros((dimensions // 4, _COLUMNS, 4), dtype=np.int8)
    columns[:, :tokens] = steps.astype(np.int8).reshape(tokens, dimensions // 4, 4).transpose(1, 0, 2)
    return columns.view(np.int32).ravel()


def _undone(steps: Vectors) -> npt.NDArray[np.int32]:
    """What takes back that 128 is added to every component of a document's vectors [32]."""
    start = np.zeros(_COLUMNS, dtype=np.int32)
    start[: len(steps)] = -128 * steps.sum(axis=1).astype(np.int32)
    return start


def _shared(run: Callable[[int, int], None], lengths: npt.NDArray[np.int64], threads: int) -> None:
    """Run all documents, each thread as many tokens as the others."""
    total = int(lengths.sum())
    if threads < 2 or total < _FEW:
        run(0, len(lengths))
        return
    ends = np.searchsorted(np.cumsum(lengths), np.linspace(0, total, threads + 1)[1:-1])
    edges = [0, *ends.tolist(), len(lengths)]
    for _ in _pool(threads).map(run, edges[:-1], edges[1:]):
        pass


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="maxsim")

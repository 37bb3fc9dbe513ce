"""Nearest vectors by looking at all of them, in FAISS."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from cascade.index.info import Vectors
from cascade.index.topk import Floats, Mask, Rows


def load_faiss() -> Any:
    """The module, untyped: its stubs do not know the constructors that its Python layer adds."""
    import faiss

    return faiss


def flat_search(index: Any, query: Vectors, depth: int, selector: Any) -> tuple[Rows, Floats]:
    """Positions and inner products of the `depth` nearest that `selector` lets through, by looking at all."""
    faiss = load_faiss()
    if index.ntotal == 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
    parameters = None if selector is None else faiss.SearchParameters(sel=selector)
    scores, positions = index.search(query[None, :], min(depth, index.ntotal), params=parameters)
    return drop_missing(positions[0], scores[0])


def bitmap(allowed: Mask) -> Any:
    """A FAISS selector of the positions that are true in `allowed`."""
    faiss = load_faiss()
    return faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))


def drop_missing(positions: Rows, scores: Floats) -> tuple[Rows, Floats]:
    """Without the places that FAISS fills with -1 when it found fewer."""
    found = positions >= 0
    return positions[found], scores[found]


def stored_vectors(flat: Any) -> Vectors:
    """The vectors inside a flat FAISS index, a view (n, d)."""
    faiss = load_faiss()
    if flat.ntotal == 0:
        return np.zeros((0, flat.d), dtype=np.float32)
    return cast("Vectors", faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d).reshape(flat.ntotal, flat.d))

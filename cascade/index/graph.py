"""Approximate nearest vectors on a navigable graph (HNSW), as wide as its measured recall asks for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from cascade.index.info import Vectors
from cascade.index.topk import Floats, Mask, Rows

RECALL_WANTED = 0.99
RECALL_DEPTH = 100
_SAMPLE = 200
_SHAPES = ((32, 200), (48, 400))  # links of a node, and candidates kept while linking it
_WIDTHS = (128, 256, 512)  # candidates kept while searching
_EQUAL = 1e-6  # inner products closer than this are the same
_EXACT_BELOW = 0.25  # of all vectors allowed by a filter: then scanning them is as fast and misses none


@dataclass(frozen=True, slots=True)
class Graph:
    """HNSW over vectors (Malkov and Yashunin, 2020); `recall` at 100 was measured at search width `width`."""

    index: Any
    width: int
    recall: float

    @staticmethod
    def build(vectors: Vectors, seed: int = 0) -> Graph:
        """The narrowest graph and search width with a recall of `RECALL_WANTED`, or else the best that was tried.

        Recall is measured at sums of three vectors drawn at random, which are as hard to search for as questions are
        (44,000 vectors of all-MiniLM-L6-v2, width 256: 0.992, and 0.990 for questions of nq-qed; 0.998 for vectors that
        are in the graph themselves). Of equally near vectors any counts.
        """
        faiss = load_faiss()
        drawn = np.random.default_rng(seed).integers(0, len(vectors), size=(_SAMPLE, 3))
        queries = vectors[drawn].sum(axis=1)
        truth: Any = None
        tried: list[Graph] = []
        for links, linking_width in _SHAPES:
            index = faiss.IndexHNSWFlat(vectors.shape[1], links, faiss.METRIC_INNER_PRODUCT)
            index.hnsw.efConstruction = linking_width
            index.add(vectors)
            if truth is None:
                truth = faiss.downcast_index(index.storage).search(queries, RECALL_DEPTH)[0][:, -1:]
            for width in _WIDTHS:
                found = index.search(queries, RECALL_DEPTH, params=faiss.SearchParametersHNSW(efSearch=width))[0]
                tried.append(Graph(index, width, float(np.mean(found >= truth - _EQUAL))))
                if tried[-1].recall >= RECALL_WANTED:
                    return tried[-1]
        return max(tried, key=lambda graph: graph.recall)

    @staticmethod
    def load(path: Path, width: int, recall: float) -> Graph:
        """Read the graph at `path`."""
        faiss = load_faiss()
        return Graph(faiss.read_index(str(path)), width, recall)

    def save(self, path: Path) -> None:
        """Write the graph to `path`."""
        faiss = load_faiss()
        faiss.write_index(self.index, str(path))

    @property
    def vectors(self) -> Vectors:
        """The vectors by position, a view."""
        faiss = load_faiss()
        return stored_vectors(faiss.downcast_index(self.index.storage))

    def search(self, query: Vectors, depth: int, allowed: Mask | None) -> tuple[Rows, Floats]:
        """Positions and inner products of the `depth` nearest of the `allowed` positions; exact when these are few."""
        faiss = load_faiss()
        count = self.index.ntotal
        share = 1.0 if allowed is None else float(np.count_nonzero(allowed)) / count
        selector = None if allowed is None else bitmap(allowed)
        if share < _EXACT_BELOW:
            return flat_search(faiss.downcast_index(self.index.storage), query, depth, selector)
        width = int(max(self.width, depth) / share)
        parameters = faiss.SearchParametersHNSW(efSearch=width, sel=selector)
        scores, positions = self.index.search(query[None, :], min(depth, count), params=parameters)
        return drop_missing(positions[0], scores[0])


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

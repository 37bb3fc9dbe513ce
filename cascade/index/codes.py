"""Vectors as one byte a dimension, by the structure that finds the near ones among them without looking at all."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from cascade.index.flat import load_faiss
from cascade.index.info import Vectors

GRAPH_FROM = 3_000_000
"""Vectors that are put on a graph; fewer are put in lists.

On 100,000 vectors as those of all-MiniLM-L6-v2, at a recall of 0.99, lists were searched 1.7 times as fast as a graph
and were built in a tenth of the time. What is looked at grows with their number in lists, and hardly on a graph: at
millions it is the faster one, and worth the hours of its building.
"""
_LISTS = 3.0  # times the square root of the number of vectors
_TRAINED_ON = 40  # vectors for each list
_TRAINING_ROUNDS = 6
_LINKS, _LINKING_WIDTH = 16, 100
_LARGEST = 127.0
_BLOCK = 65_536


@dataclass(frozen=True, slots=True)
class Codes:
    """Immutable: `index` holds vectors whose components are rounded to whole numbers from -127 to 127, by one scale.

    FAISS compares such codes (its signed 8 bits) four times as fast as those with a range for each dimension, and among
    the best 150 by either were all of the best 100 (all-MiniLM-L6-v2). `kind` is "ivf" (Jégou et al., 2011) or "hnsw"
    (Malkov and Yashunin, 2020).
    """

    kind: str
    index: Any

    @staticmethod
    def build(kind: str, vectors: Vectors, seed: int = 0) -> Codes:
        """Of `vectors` (n, d), n above zero, which may be mapped from a file."""
        faiss = load_faiss()
        scale = _LARGEST / (max(float(vectors.max()), -float(vectors.min())) or 1.0)
        count, dimensions = vectors.shape
        product, bits = faiss.METRIC_INNER_PRODUCT, faiss.ScalarQuantizer.QT_8bit_direct_signed
        if kind == "hnsw":
            index = faiss.IndexHNSWSQ(dimensions, bits, _LINKS, product)
            index.hnsw.efConstruction = _LINKING_WIDTH
        else:
            lists = max(1, min(round(_LISTS * math.sqrt(count)), count // _TRAINED_ON))
            index = faiss.IndexIVFScalarQuantizer(
                faiss.IndexFlatIP(dimensions), dimensions, lists, bits, product, False
            )
            index.cp.niter, index.cp.max_points_per_centroid = _TRAINING_ROUNDS, _TRAINED_ON
            index.cp.spherical = True
            drawn = np.random.default_rng(seed).permutation(count)[: lists * _TRAINED_ON]
            index.train(_rounded(vectors[np.sort(drawn)], scale))
        for start in range(0, count, _BLOCK):
            index.add(_rounded(vectors[start : start + _BLOCK], scale))
        return Codes(kind, index)

    @property
    def widths(self) -> list[int]:
        """How widely it can be searched, from narrow to all: lists that are looked at, or candidates that are kept."""
        if self.kind == "hnsw":
            return [128, 192, 256, 384, 512, 768, 1024, 1536, 2048]
        most = int(self.index.nlist)
        return sorted({min(most, math.ceil(most / 64 * 1.25**step)) for step in range(20)})

    def search(self, queries: Vectors, depth: int, width: int, selector: Any) -> Any:
        """Positions (n, depth) near `queries` (n, d), best first by their codes, -1 where there are no more."""
        faiss = load_faiss()
        if self.kind == "hnsw":
            parameters = faiss.SearchParametersHNSW(efSearch=max(width, depth), sel=selector)
        else:
            parameters = faiss.SearchParametersIVF(nprobe=width, sel=selector)
        return self.index.search(_queries(queries), depth, params=parameters)[1]

    def scan(self, query: Vectors, depth: int, selector: Any) -> Any:
        """As `search` for one query (d,), by looking at all."""
        faiss = load_faiss()
        if self.kind != "hnsw":
            return self.search(query[None, :], depth, self.index.nlist, selector)
        parameters = faiss.SearchParameters(sel=selector)
        storage = faiss.downcast_index(self.index.storage)
        return storage.search(_queries(query[None, :]), depth, params=parameters)[1]


def _rounded(vectors: Vectors, scale: float) -> Any:
    return np.rint(vectors * np.float32(scale))


def _queries(queries: Vectors) -> Any:
    """Each on a scale of its own, which changes no order, since FAISS rounds also what is searched for to 8 bits."""
    largest = np.max(np.abs(queries), axis=1, keepdims=True)
    return np.rint(queries * (np.float32(_LARGEST) / np.where(largest > 0, largest, 1)))

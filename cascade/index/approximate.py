"""Near vectors found by their codes, as widely as the measured recall asks for, then compared exactly."""

from __future__ import annotations

import json
import os
import shutil
from bisect import bisect_left
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from cascade.index.codes import Codes
from cascade.index.flat import bitmap, load_faiss
from cascade.index.info import Vectors
from cascade.index.topk import Floats, Mask, Rows, best

RECALL_WANTED = 0.99
RECALL_DEPTH = 100
_SAMPLE, _SUMMED = 200, 4
_MARGIN = 0.003
_EQUAL = 1e-6  # inner products closer than this are the same
_SCAN_BELOW = 0.25  # of all vectors allowed by a filter: then scanning them is as fast and misses none
_FEW = 2_000  # allowed vectors that are compared at once, without their codes
_COMPARED, _COMPARED_LEAST = 2, 200  # candidates that are compared exactly: so many for one wanted, and at least
_BLOCK = 65_536
_CODES, _VECTORS, _FACTS = "codes.faiss", "codes.npy", "codes.json"


@dataclass(frozen=True, slots=True)
class Approximate:
    """Immutable: `recall` at 100 was measured at search width `width`.

    Only codes are in memory; `vectors` (n, d) are mapped from a file, and a search reads those of its candidates.
    """

    codes: Codes
    vectors: Vectors
    width: int
    recall: float

    @staticmethod
    def build(kind: str, vectors: Vectors, seed: int = 0) -> Approximate:
        """The narrowest search width with a recall of a little more than `RECALL_WANTED`, or else the widest.

        Recall is measured at sums of four vectors drawn at random, which are about as hard to search for as questions
        are: at one width 0.990, and 0.987 for questions (20,000 passages of ten collections, all-MiniLM-L6-v2). Sums of
        three or six are as hard there; but among a million vectors in clusters, where those of three had 0.993,
        questions had 0.977, and where those of six had 0.994, they had 0.998. Of equally near vectors any counts.
        """
        faiss = load_faiss()
        drawn = np.random.default_rng(seed).integers(0, len(vectors), size=(_SAMPLE, _SUMMED))
        queries = vectors[drawn].sum(axis=1)
        depth = min(RECALL_DEPTH, len(vectors))
        truth = faiss.knn(queries, vectors, depth, metric=faiss.METRIC_INNER_PRODUCT)[0][:, -1]
        codes = Codes.build(kind, vectors, seed)

        @cache
        def recall(width: int) -> float:
            made = Approximate(codes, vectors, width, 0.0)
            positions = codes.search(queries, _compared(depth), width, None)
            found = [
                np.count_nonzero(made._compare(query, near, depth)[1] >= least - _EQUAL) / depth
                for query, near, least in zip(queries, positions, truth, strict=True)
            ]
            return min(float(np.mean(found)), 1.0)  # of equal ones more than `depth` may be there

        widths = codes.widths
        enough = bisect_left(widths, RECALL_WANTED + _MARGIN, key=recall)
        width = widths[min(enough, len(widths) - 1)]
        return Approximate(codes, vectors, width, recall(width))

    @staticmethod
    def load(folder: Path) -> Approximate | None:
        """Read the codes that `save` wrote, and map the vectors; None where `save_none` wrote that there are none."""
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        if facts is None:
            return None
        index = load_faiss().read_index(str(folder / _CODES))
        vectors = np.asarray(np.load(folder / _VECTORS, mmap_mode="r"))
        return Approximate(Codes(facts["kind"], index), vectors, facts["width"], facts["recall"])

    def save(self, folder: Path) -> None:
        """Write all of it."""
        load_faiss().write_index(self.codes.index, str(folder / _CODES))
        np.save(folder / _VECTORS, self.vectors)
        self._save_facts(folder)

    def save_again(self, folder: Path, before: Path) -> None:
        """As `save`; `before` is where it was saved: versions share its large files where the file system can."""
        for name in (_CODES, _VECTORS):
            try:
                os.link(before / name, folder / name)
            except OSError:
                shutil.copyfile(before / name, folder / name)
        self._save_facts(folder)

    @staticmethod
    def save_none(folder: Path) -> None:
        """Write that there is nothing to load."""
        (folder / _FACTS).write_text("null", encoding="utf-8")

    def search(self, query: Vectors, depth: int, allowed: Mask | None) -> tuple[Rows, Floats]:
        """Positions and inner products of the `depth` nearest of the `allowed` positions; exact when these are few."""
        count = len(self.vectors)
        compared = min(_compared(depth), count)
        if allowed is None:
            return self._compare(query, self.codes.search(query[None, :], compared, self.width, None)[0], depth)
        number = int(np.count_nonzero(allowed))
        if number <= max(_FEW, compared):
            near = np.flatnonzero(allowed)
        elif number < _SCAN_BELOW * count:
            near = self.codes.scan(query, compared, bitmap(allowed))[0]
        else:
            width = min(round(self.width * count / number), self.codes.widths[-1])
            near = self.codes.search(query[None, :], compared, width, bitmap(allowed))[0]
        return self._compare(query, near, depth)

    def same(self, positions: Rows, vectors: Vectors, rows: Rows) -> Mask:
        """Whether the vector at each of `positions` is the one of `vectors` at each of `rows`."""
        blocks = [slice(start, start + _BLOCK) for start in range(0, len(positions), _BLOCK)]
        equal = [np.all(self.vectors[positions[b]] == vectors[rows[b]], axis=1) for b in blocks]
        return np.concatenate(equal) if equal else np.zeros(0, dtype=np.bool_)

    def _compare(self, query: Vectors, near: Any, depth: int) -> tuple[Rows, Floats]:
        """The best `depth` of the positions `near`, of which -1 is none, by exact inner product."""
        positions = near[near >= 0]
        return best(self.vectors[positions] @ query, positions, depth)

    def _save_facts(self, folder: Path) -> None:
        facts = {"kind": self.codes.kind, "width": self.width, "recall": self.recall}
        (folder / _FACTS).write_text(json.dumps(facts), encoding="utf-8")


def _compared(depth: int) -> int:
    return max(_COMPARED * depth, _COMPARED_LEAST)

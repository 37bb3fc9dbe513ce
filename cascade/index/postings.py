"""How often every passage holds every term, kept so that a new version counts only the passages that are new."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cascade.index.tokens import tokenize
from cascade.index.topk import Doubles, Rows

Ids = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Postings:
    """Immutable: row i has the terms `terms[starts[i]:starts[i + 1]]`, so many times each as `counts` says there."""

    starts: Rows
    terms: Ids
    counts: Ids

    @staticmethod
    def count(passages: Sequence[str], vocabulary: dict[str, int]) -> Postings:
        """One row per passage; terms that `vocabulary` does not have yet are added to it."""
        rows = [Counter(tokenize(passage)) for passage in passages]
        starts = np.cumsum([0, *map(len, rows)], dtype=np.int64)
        terms = [vocabulary.setdefault(term, len(vocabulary)) for row in rows for term in row]
        counts = [count for row in rows for count in row.values()]
        return Postings(starts, np.array(terms, dtype=np.int32), np.array(counts, dtype=np.int32))

    @staticmethod
    def load(path: Path) -> Postings:
        """Read what `save` wrote."""
        with np.load(path) as saved:
            return Postings(saved["starts"], saved["terms"], saved["counts"])

    def save(self, path: Path) -> None:
        """Write all rows to `path`."""
        np.savez(path, starts=self.starts, terms=self.terms, counts=self.counts)

    def followed_by(self, other: Postings) -> Postings:
        """These rows, then those of `other`, whose terms have the same numbers."""
        starts = np.concatenate([self.starts, other.starts[1:] + self.starts[-1]])
        terms, counts = (self.terms, other.terms), (self.counts, other.counts)
        return Postings(starts, np.concatenate(terms), np.concatenate(counts))

    def take(self, rows: Rows) -> Postings:
        """`rows` only, in the order given."""
        sizes = np.diff(self.starts)[rows]
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        places = np.repeat(self.starts[rows] - starts[:-1], sizes) + np.arange(starts[-1])
        return Postings(starts, self.terms[places], self.counts[places])

    def without_unused(self, vocabulary: Mapping[str, int]) -> tuple[Postings, dict[str, int]]:
        """The same rows, and a vocabulary of only the terms in them, numbered without gaps."""
        used = np.bincount(self.terms, minlength=len(vocabulary)) > 0
        number = np.cumsum(used, dtype=np.int32) - 1
        kept = {term: int(number[old]) for term, old in vocabulary.items() if used[old]}
        return Postings(self.starts, number[self.terms].astype(np.int32), self.counts), kept

    def bm25(self, terms: int, k1: float, b: float) -> tuple[Doubles, Ids, Rows]:
        """What each of `terms` terms adds to the score of a row, by term: impacts, rows, and where each term begins.

        Every operation is done in the order in which rank-bm25's `BM25Plus` does it, so that no bit differs.
        """
        rows = len(self.starts) - 1
        row = np.repeat(np.arange(rows, dtype=np.int32), np.diff(self.starts))
        by_term = np.argsort(self.terms, kind="stable")
        row, counts = row[by_term], self.counts[by_term]
        length = np.bincount(row, weights=counts, minlength=rows)
        found_in = np.bincount(self.terms, minlength=terms)
        idf = np.array([math.log((rows + 1) / found) for found in np.maximum(found_in, 1).tolist()])
        mean = length.sum() / rows if terms else 1.0
        norm = k1 * (1 - b + b * length / mean)
        impacts = np.repeat(idf, found_in) * (counts * (k1 + 1) / (norm[row] + counts))
        return impacts, row, np.concatenate([[0], np.cumsum(found_in)]).astype(np.int64)

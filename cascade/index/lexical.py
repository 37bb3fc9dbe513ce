"""BM25 over all passages of one version, from the postings of the query's terms.

The variant (Robertson and Zaragoza, 2009) is rank-bm25's `BM25Plus` with delta 0, so that inline documents, which
rank-bm25 scores, get the same numbers to the last bit: the sum over the query's terms of

    ln((N + 1) / df)  *  tf (k1 + 1) / (tf + k1 (1 - b + b dl / avgdl))

Its idf differs from Lucene's only by 0.5 in the denominator. It is never negative: a score is above zero exactly where
a term is shared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cascade.index.postings import Ids, Postings
from cascade.index.tokens import RULES, tokenize_query
from cascade.index.topk import Doubles, Mask, Rows

K1 = 1.2
B = 0.75
_POSTINGS = "postings.npz"
_TERMS = "terms.txt"
PARAMETERS = f"atire/bm25+ k1={K1} b={B}, impacts of 64 bits; {RULES}"
"""Names all that decides a score; what was built with other parameters is built again."""


@dataclass(frozen=True, slots=True)
class Lexical:
    """Immutable; row i is the i-th passage it was built from.

    Term t adds `impacts[p]` to the score of `found[p]` for p from `starts[t]` to `starts[t + 1]`. The three are mapped
    from files.
    """

    rows: int
    folder: Path
    numbers: dict[str, int]
    impacts: Doubles
    found: Ids
    starts: Rows

    @staticmethod
    def build(passages: Sequence[str], folder: Path, before: Lexical | None, known: Rows) -> None:
        """Write what `load` reads; `known` (passages,) is the row of `before` with the same passage, or -1."""
        vocabulary = before.vocabulary if before else {}
        counted = Postings.count([passages[row] for row in np.flatnonzero(known < 0).tolist()], vocabulary)
        if before:
            rows = known.copy()
            rows[known < 0] = before.rows + np.arange(np.count_nonzero(known < 0))
            counted = Postings.load(before.folder / _POSTINGS).followed_by(counted).take(rows)
            counted, vocabulary = counted.without_unused(vocabulary)
        folder.mkdir()
        counted.save(folder / _POSTINGS)
        impacts, found, starts = counted.bm25(len(vocabulary), K1, B)
        for name, values in (("impacts", impacts), ("found", found), ("starts", starts)):
            np.save(folder / f"{name}.npy", values)
        # A term is word characters only, so no line break is in one.
        (folder / _TERMS).write_text("\n".join(vocabulary), encoding="utf-8", newline="\n")

    @staticmethod
    def load(folder: Path, rows: int) -> Lexical:
        """Map what `build` wrote for `rows` passages, and have the code ready that searches it."""
        from cascade.index.walk import compiled

        compiled()
        # Views of the plain class: numba looks anew at the type of any other at every call.
        impacts, found, starts = (
            np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r")) for name in ("impacts", "found", "starts")
        )
        terms = (folder / _TERMS).read_text(encoding="utf-8")
        numbers = {term: number for number, term in enumerate(terms.split("\n"))} if terms else {}
        return Lexical(rows, folder, numbers, impacts, found, starts)

    @property
    def vocabulary(self) -> dict[str, int]:
        """The number of every term; a copy."""
        return dict(self.numbers)

    def search(self, query: str, depth: int, allowed: Mask | None) -> tuple[Rows, Doubles]:
        """The best `depth` of the `allowed` rows that share a term with `query`, best first."""
        from cascade.index.walk import walk

        return walk(self.found, self.impacts, self.starts, self._terms(query), allowed, self.rows, depth)

    def scores(self, query: str) -> Doubles:
        """Of every row, float64 (rows,)."""
        scores = np.zeros(self.rows)
        for term in self._terms(query).tolist():
            part = slice(self.starts[term], self.starts[term + 1])
            scores[self.found[part]] += self.impacts[part]  # a row is there once
        return scores

    def _terms(self, query: str) -> Rows:
        numbers = (self.numbers.get(term) for term in tokenize_query(query))
        return np.array([number for number in numbers if number is not None], dtype=np.int64)

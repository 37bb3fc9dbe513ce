"""BM25 over all passages of one version, by bm25s.

The variant (Robertson and Zaragoza, 2009) is rank-bm25's `BM25Plus` with delta 0, so that inline documents, which
rank-bm25 scores, get the same numbers: the sum over the query's terms of

    ln((N + 1) / df)  *  tf (k1 + 1) / (tf + k1 (1 - b + b dl / avgdl))

Its idf differs from Lucene's only by 0.5 in the denominator. It is never negative: a score is above zero exactly where
a term is shared.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cascade.index.postings import Postings
from cascade.index.tokens import RULES, tokenize_query
from cascade.index.topk import Floats, Mask, Rows, best

K1 = 1.2
B = 0.75
_POSTINGS = "postings.npz"
PARAMETERS = f"bm25s atire/bm25+ k1={K1} b={B}; {RULES}"
"""Names all that decides a score; what was built with other parameters is built again."""


class Lexical:
    """Immutable; row i is the i-th passage it was built from."""

    def __init__(self, engine: Any, folder: Path, rows: int) -> None:
        self._engine = engine
        self._folder = folder
        self._rows = rows

    @staticmethod
    def build(passages: Sequence[str], folder: Path, before: Lexical | None, known: Rows) -> None:
        """Write what `load` reads; `known` (passages,) is the row of `before` with the same passage, or -1."""
        vocabulary = before.vocabulary if before else {}
        counted = Postings.count([passages[row] for row in np.flatnonzero(known < 0).tolist()], vocabulary)
        if before:
            rows = known.copy()
            rows[known < 0] = before.rows + np.arange(np.count_nonzero(known < 0))
            counted = Postings.load(before._folder / _POSTINGS).followed_by(counted).take(rows)
            counted, vocabulary = counted.without_unused(vocabulary)
        folder.mkdir()
        counted.save(folder / _POSTINGS)
        if vocabulary:
            _engine(counted, vocabulary).save(folder, show_progress=False)

    @staticmethod
    def load(folder: Path, rows: int) -> Lexical:
        """Map what `build` wrote for `rows` passages."""
        has_terms = any(folder.glob("vocab*"))
        return Lexical(_bm25s().BM25.load(folder, mmap=True) if has_terms else None, folder, rows)

    @property
    def rows(self) -> int:
        """How many passages there are."""
        return self._rows

    @property
    def vocabulary(self) -> dict[str, int]:
        """The number of every term; a copy."""
        return dict(self._engine.vocab_dict) if self._engine else {}

    def search(self, query: str, depth: int, allowed: Mask | None) -> tuple[Rows, Floats]:
        """The best `depth` of the `allowed` rows that share a term with `query`, best first."""
        scores = self.scores(query)
        found = np.flatnonzero(scores > 0 if allowed is None else (scores > 0) & allowed)
        return best(scores[found], found, depth)

    def scores(self, query: str) -> Floats:
        """Of every row, float32 (rows,)."""
        terms = self._engine.get_tokens_ids(tokenize_query(query)) if self._engine else []
        if not terms:
            return np.zeros(self._rows, dtype=np.float32)
        return np.asarray(self._engine.get_scores_from_ids(terms), dtype=np.float32)


def _engine(postings: Postings, vocabulary: dict[str, int]) -> Any:
    """A bm25s index with the scores that its own `index` computes passage by passage, which takes far longer."""
    engine = _bm25s().BM25(k1=K1, b=B, method="atire", idf_method="bm25+")
    data, indices, indptr = postings.bm25(len(vocabulary), K1, B)
    engine.scores = {"data": data, "indices": indices, "indptr": indptr, "num_docs": len(postings.starts) - 1}
    engine.vocab_dict = vocabulary
    engine.nonoccurrence_array = None
    return engine


def _bm25s() -> Any:
    """The library, which asks for its debug lines to be shown when it is imported, without them."""
    import bm25s

    logging.getLogger("bm25s").setLevel(logging.WARNING)
    return bm25s

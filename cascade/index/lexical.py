"""BM25 over all passages of one version, by bm25s.

The variant (Robertson and Zaragoza, 2009) is rank-bm25's `BM25Plus` with delta 0, so that inline documents, which rank-bm25
scores, get the same numbers: the sum over the query's terms of

    ln((N + 1) / df)  *  tf (k1 + 1) / (tf + k1 (1 - b + b dl / avgdl))

Its idf differs from Lucene's only by 0.5 in the denominator. It is never negative: a score is above zero exactly where a
term is shared.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cascade.index.tokens import RULES, tokenize, tokenize_query
from cascade.index.topk import Floats, Mask, Rows, best

K1 = 1.2
B = 0.75
PARAMETERS = f"bm25s atire/bm25+ k1={K1} b={B}; {RULES}"
"""Names all that decides a score; what was built with other parameters is built again."""


class Lexical:
    """Immutable; row i is the i-th passage it was built from."""

    def __init__(self, engine: Any, rows: int) -> None:
        self._engine = engine
        self._rows = rows

    @staticmethod
    def build(passages: Sequence[str], folder: Path) -> None:
        """Write what `load` reads; nothing when no passage has a term."""
        import bm25s

        terms = [tokenize(passage) for passage in passages]
        if any(terms):
            engine = bm25s.BM25(k1=K1, b=B, method="atire", idf_method="bm25+")
            engine.index(terms, show_progress=False)
            engine.save(folder, show_progress=False)

    @staticmethod
    def load(folder: Path, rows: int) -> Lexical:
        """Map what `build` wrote for `rows` passages."""
        import bm25s

        if not folder.is_dir():
            return Lexical(None, rows)
        return Lexical(bm25s.BM25.load(folder, mmap=True), rows)

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

"""Pairs scored as sentence-transformers scores them, for the models that it alone can run."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from cascade.inference.reading import Observer
from cascade.inference.rows import Lane

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

Pair = tuple[str, str, int]
"""Query, passage, and the tokens that both take together."""


class LibraryPairs:
    """Runs one padded batch at a time, from any thread."""

    def __init__(self, model: CrossEncoder, observe: Observer) -> None:
        self._model = model
        self._observe = observe
        self._lanes: dict[tuple[int, int], Lane[Pair, float]] = {}
        self._turn = threading.Lock()

    def lane(self, max_length: int, most_tokens: int) -> Lane[Pair, float]:
        """Batches of pairs cut at `max_length`, of at most `most_tokens` with their padding."""
        lane: Lane[Pair, float] = Lane(partial(self._run, max_length), most_tokens, padded_size)
        return self._lanes.setdefault((max_length, most_tokens), lane)

    def _run(self, max_length: int, rows: Sequence[Pair]) -> Sequence[float]:
        with self._turn:
            start = time.perf_counter()
            self._model.max_seq_length = max_length
            pairs = [(query, passage) for query, passage, _ in rows]
            found = self._model.predict(pairs, batch_size=len(pairs), show_progress_bar=False)
            self._observe(len(rows), sum(tokens for *_, tokens in rows), time.perf_counter() - start)
        return [float(score) for score in np.asarray(found)]


def padded_size(lengths: Sequence[int]) -> int:
    """The tokens of a batch padded to its longest row."""
    return max(lengths, default=0) * len(lengths)

"""Token vectors as sentence-transformers makes them, for the multi-vector models that it alone can run."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cascade.inference.library_pairs import padded_size
from cascade.inference.reading import Observer
from cascade.inference.rows import Lane

if TYPE_CHECKING:
    from sentence_transformers import MultiVectorEncoder

Vectors = npt.NDArray[np.float32]
Text = tuple[str, int]
"""With the tokens that it takes."""


class LibraryVectors:
    """Runs one padded batch at a time, from any thread: a tokenizer keeps where it cuts, which differs for queries."""

    def __init__(self, model: MultiVectorEncoder, observe: Observer) -> None:
        self._model = model
        self._observe = observe
        self._widened = bool(getattr(model[0], "query_expansion", None))
        self._lanes: dict[tuple[bool, int, int], Lane[Text, Vectors]] = {}
        self._turn = threading.Lock()

    def lane(self, of_queries: bool, longest: int, most_tokens: int) -> Lane[Text, Vectors]:
        """Batches of texts cut at `longest`, of at most `most_tokens` with their padding."""
        lane: Lane[Text, Vectors] = Lane(partial(self._run, of_queries, longest), most_tokens, padded_size)
        return self._lanes.setdefault((of_queries, longest, most_tokens), lane)

    def _run(self, of_queries: bool, longest: int, rows: Sequence[Text]) -> Sequence[Vectors]:
        encode: Any = self._model.encode_query if of_queries else self._model.encode_document
        options: dict[str, Any] = {"processing_kwargs": {"text": {"max_length": longest}}}
        if of_queries and self._widened:
            options = {}  # the model decides, and warns when it is given another length
        with self._turn:
            start = time.perf_counter()
            texts = [text for text, _ in rows]
            found = encode(texts, batch_size=len(rows), convert_to_numpy=True, show_progress_bar=False, **options)
            self._observe(len(rows), sum(tokens for _, tokens in rows), time.perf_counter() - start)
        return [np.asarray(vectors, dtype=np.float32) for vectors in found]

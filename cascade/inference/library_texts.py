"""Texts encoded as sentence-transformers encodes them, for the bi-encoders that it alone can run."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cascade.inference.library_pairs import padded_size
from cascade.inference.reading import Observer
from cascade.inference.rows import Lane

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Text = tuple[str, int]
"""With the tokens that it takes."""


class LibraryTexts:
    """Runs one padded batch at a time, from any thread; queries and documents have lanes of their own."""

    def __init__(self, model: SentenceTransformer, observe: Observer) -> None:
        self._model = model
        self._observe = observe
        # Counting goes by a copy: a tokenizer keeps whether it cuts and pads.
        self._counter: Any = copy.deepcopy(model.tokenizer)
        self._lanes: dict[tuple[bool, int], Lane[Text, npt.NDArray[np.float32]]] = {}
        self._turn = threading.Lock()

    def lane(self, of_queries: bool, most_tokens: int) -> Lane[Text, npt.NDArray[np.float32]]:
        """Batches of at most `most_tokens` with their padding."""
        encode = self._model.encode_query if of_queries else self._model.encode_document
        lane: Lane[Text, npt.NDArray[np.float32]] = Lane(lambda rows: self._run(encode, rows), most_tokens, padded_size)
        return self._lanes.setdefault((of_queries, most_tokens), lane)

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """In tokens of their own."""
        if not texts:
            return []
        ids = self._counter(list(texts), add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
        return [len(one) for one in ids]

    @property
    def special_tokens(self) -> int:
        """How many a text has beside its own."""
        return int(self._counter.num_special_tokens_to_add(pair=False))

    def _run(self, encode: Callable[..., Any], rows: Sequence[Text]) -> Sequence[npt.NDArray[np.float32]]:
        with self._turn:
            start = time.perf_counter()
            found = encode(
                [text for text, _ in rows],
                batch_size=len(rows),
                normalize_embeddings=True,
                convert_to_numpy=True,
                show_progress_bar=False,
            )
            self._observe(len(rows), sum(tokens for _, tokens in rows), time.perf_counter() - start)
        return list(np.asarray(found, dtype=np.float32))

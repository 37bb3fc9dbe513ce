"""The bi-encoder: query and document to unit vectors, apart."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from cascade.budget import Budget
from cascade.errors import ModelLoadError
from cascade.inference.batcher import Stop
from cascade.inference.device import hide_loading_bars, pick_device
from cascade.inference.model import ServedModel
from cascade.stages import Usage
from cascade.weights import resolve_model

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Vectors = npt.NDArray[np.float32]


class Encoder(ServedModel):
    """A sentence-transformers model; prompts that it names for queries and documents are applied."""

    kind = "bi_encoder"
    _model: SentenceTransformer

    def _load(self) -> None:
        from sentence_transformers import SentenceTransformer

        hide_loading_bars()
        self._model = SentenceTransformer(resolve_model(self.reference), device=pick_device(self.device))
        vector = self._encode_query("self-test")[0]
        if not np.isfinite(vector).all() or abs(float(np.linalg.norm(vector)) - 1) > 1e-3:
            raise ModelLoadError(
                self.reference,
                "its self-test gave a vector that is not finite and of unit length; check the weights",
            )

    @property
    def dimensions(self) -> int:
        """Components of a vector; loads the model."""
        self.ensure_loaded()
        return cast("int", self._model.get_embedding_dimension())

    async def encode_query(self, text: str, *, budget: Budget) -> tuple[Vectors, Usage]:
        """A float32 vector (dimensions,) of unit length."""

        def work(_stop: Stop) -> tuple[Vectors, int]:
            self.ensure_loaded()
            return self._encode_query(text)

        (vector, tokens), waited = await self.queue.run(work, budget=budget)
        return vector, Usage(queue_time=waited, tokens=tokens)

    def encode_documents(self, passages: Sequence[str]) -> Vectors:
        """float32 vectors (n, dimensions) of unit length, in this thread."""
        self.ensure_loaded()
        if not passages:
            return np.zeros((0, self.dimensions), dtype=np.float32)
        vectors = self._model.encode_document(
            list(passages),
            batch_size=32,
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=False,
        )
        return np.asarray(vectors, dtype=np.float32)

    def _encode_query(self, text: str) -> tuple[Vectors, int]:
        start = time.perf_counter()
        vectors: Any = self._model.encode_query(
            [text], normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
        )
        tokens = len(self._model.tokenizer(text, truncation=True, max_length=self._model.max_seq_length)["input_ids"])
        self.observe_batch(1, tokens, time.perf_counter() - start)
        return np.asarray(vectors[0], dtype=np.float32), tokens

"""The cross-encoder tier."""

from __future__ import annotations

from collections.abc import Sequence

from cascade.inference.cross_encoder import CrossEncoderModel
from cascade.inference.scored import Scored
from cascade.inference.stepwise import Stepwise
from cascade.rerank.model_reranker import ModelReranker


class CrossEncoderReranker(ModelReranker):
    """Scores each document by reading it together with the query (Nogueira and Cho, 2019)."""

    def __init__(
        self, name: str, model: CrossEncoderModel, *, max_length: int = 256, max_batch_tokens: int = 4096
    ) -> None:
        super().__init__(name, model, max_length)
        self._model = model
        self._max_length = max_length
        self._max_batch_tokens = max_batch_tokens

    def _read(self, query: str, passages: Sequence[str]) -> Stepwise[Scored]:
        return self._model.scoring_pairs(
            query, passages, max_length=self._max_length, max_batch_tokens=self._max_batch_tokens
        )

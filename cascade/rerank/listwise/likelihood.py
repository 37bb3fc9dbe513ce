"""The listwise tier of kind likelihood."""

from __future__ import annotations

from collections.abc import Sequence

from cascade.inference.scored import Scored
from cascade.inference.stepwise import Stepwise
from cascade.rerank.listwise.likelihood_model import LikelihoodModel
from cascade.rerank.model_reranker import ModelReranker


class LikelihoodReranker(ModelReranker):
    """Mean log-probabilities of the query's tokens after each document, at most 0; needs no training."""

    def __init__(
        self, name: str, model: LikelihoodModel, *, max_doc_tokens: int = 256, max_batch_tokens: int = 2048
    ) -> None:
        super().__init__(name, model, max_doc_tokens)
        self._model = model
        self._max_doc_tokens = max_doc_tokens
        self._max_batch_tokens = max_batch_tokens
        self._settings = (max_doc_tokens,)

    def _read(self, query: str, passages: Sequence[str]) -> Stepwise[Scored]:
        return self._model.scoring(
            query, passages, max_doc_tokens=self._max_doc_tokens, max_batch_tokens=self._max_batch_tokens
        )

"""The listwise tier of kind joint."""

from __future__ import annotations

from collections.abc import Sequence

from cascade.inference.scored import Scored
from cascade.inference.stepwise import Stepwise
from cascade.rerank.listwise.joint_model import JointModel
from cascade.rerank.model_reranker import ModelReranker


class JointReranker(ModelReranker):
    """Cosines in [-1, 1] of documents read side by side: a score says how a document compares with the others."""

    def __init__(
        self, name: str, model: JointModel, *, max_doc_tokens: int = 256, max_block_tokens: int = 2048
    ) -> None:
        super().__init__(name, model, max_doc_tokens)
        self._model = model
        self._max_doc_tokens = max_doc_tokens
        self._max_block_tokens = max_block_tokens

    def _texts_read(self, query: str, passages: Sequence[str]) -> list[str]:
        return [query, *passages, query]

    def _read(self, query: str, passages: Sequence[str]) -> Stepwise[Scored]:
        return self._model.scoring(
            query, passages, max_doc_tokens=self._max_doc_tokens, max_block_tokens=self._max_block_tokens
        )

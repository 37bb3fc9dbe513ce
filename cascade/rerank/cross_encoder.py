"""The cross-encoder tier."""

from __future__ import annotations

from collections.abc import Sequence

from cascade.inference.caches import Memory
from cascade.inference.cross_encoder import CrossEncoderModel
from cascade.inference.scored import Scored
from cascade.inference.stepwise import Stepwise
from cascade.rerank.candidate_ids import CandidateIds
from cascade.rerank.model_reranker import ModelReranker
from cascade.stages import Corpus, TokenIds, TokenisedText
from cascade.types import Candidate


class CrossEncoderReranker(ModelReranker):
    """Scores each document by reading it together with the query (Nogueira and Cho, 2019)."""

    def __init__(
        self,
        name: str,
        model: CrossEncoderModel,
        *,
        max_length: int = 256,
        max_batch_tokens: int = 4096,
        stored: TokenIds | None = None,
    ) -> None:
        super().__init__(name, model, max_length)
        self._model = model
        self._max_length = max_length
        self._max_batch_tokens = max_batch_tokens
        self._settings = (max_length,)
        self._ids = CandidateIds(model, stored)

    def over(self, corpus: Corpus) -> CrossEncoderReranker:
        """This tier, reading the corpus' token ids where they are those of this tier's model."""
        return CrossEncoderReranker(
            self._name,
            self._model,
            max_length=self._max_length,
            max_batch_tokens=self._max_batch_tokens,
            stored=corpus.token_ids,
        )

    def _read_candidates(self, query: str, candidates: Sequence[Candidate], memory: Memory) -> Stepwise[Scored]:
        return self._read(query, self._ids(candidates, memory))

    def _read(self, query: str, passages: Sequence[str | TokenisedText]) -> Stepwise[Scored]:
        return self._model.scoring_pairs(
            query, passages, max_length=self._max_length, max_batch_tokens=self._max_batch_tokens
        )

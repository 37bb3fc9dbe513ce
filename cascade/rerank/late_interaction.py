"""The late interaction tier."""

from __future__ import annotations

from collections.abc import Sequence

from cascade.inference.caches import Memory
from cascade.inference.cost import approximate_tokens
from cascade.inference.multi_vector import DOC_TOKENS, MultiVectorModel
from cascade.inference.scored import Scored
from cascade.inference.stepwise import Stepwise
from cascade.rerank.candidate_ids import CandidateIds
from cascade.rerank.model_reranker import ModelReranker
from cascade.stages import Corpus, StoredVectors, TokenIds, TokenisedText, TokenVectors
from cascade.types import Candidate, Query


class LateInteractionReranker(ModelReranker):
    """Scores each document by its token vectors, made apart from the query (Khattab and Zaharia, 2020, "ColBERT").

    Over a corpus that holds the model's token vectors, documents are not read again; one that it has none of is.
    Scores that cost no reading are not remembered: they are made as fast as they would be found.
    """

    def __init__(
        self,
        name: str,
        model: MultiVectorModel,
        *,
        max_query_tokens: int = 32,
        max_doc_tokens: int = DOC_TOKENS,
        max_batch_tokens: int = 4096,
        stored: TokenVectors | None = None,
        token_ids: TokenIds | None = None,
    ) -> None:
        super().__init__(name, model, max_doc_tokens)
        self._model = model
        self._max_query_tokens = max_query_tokens
        self._max_doc_tokens = max_doc_tokens
        self._max_batch_tokens = max_batch_tokens
        self._stored = stored
        self._ids = CandidateIds(model, token_ids)
        self._settings = (max_query_tokens, max_doc_tokens) if stored is None else None

    def over(self, corpus: Corpus) -> LateInteractionReranker:
        """This tier, reading the corpus' token vectors where this tier's model made them, else its token ids."""
        held = corpus.token_vectors
        if held is not None and held.reference != self._model.reference:
            held = None
        return LateInteractionReranker(
            self._name,
            self._model,
            max_query_tokens=self._max_query_tokens,
            max_doc_tokens=self._max_doc_tokens,
            max_batch_tokens=self._max_batch_tokens,
            stored=held,
            token_ids=corpus.token_ids,
        )

    def _tokens(self, query: Query, candidates: Sequence[Candidate]) -> float:
        """With stored vectors only the query is read."""
        if self._stored is None:
            return super()._tokens(query, candidates)
        return approximate_tokens([query.text], most=self._max_query_tokens)

    def _texts_read(self, query: str, passages: Sequence[str]) -> list[str]:
        return [query, *passages]

    def _read_candidates(self, query: str, candidates: Sequence[Candidate], memory: Memory) -> Stepwise[Scored]:
        stored = self._stored.fetch([c.doc_id for c in candidates]) if self._stored else {}
        rest = [c for c in candidates if c.doc_id not in stored]
        read = dict(zip((c.doc_id for c in rest), self._ids(rest, memory), strict=True))
        documents = [stored.get(c.doc_id) or read[c.doc_id] for c in candidates]
        return self._read(query, documents, memory)

    def _read(
        self, query: str, passages: Sequence[str | TokenisedText | StoredVectors], memory: Memory | None = None
    ) -> Stepwise[Scored]:
        return self._model.scoring_documents(
            query,
            passages,
            max_query_tokens=self._max_query_tokens,
            max_doc_tokens=self._max_doc_tokens,
            max_batch_tokens=self._max_batch_tokens,
            memory=memory,
        )

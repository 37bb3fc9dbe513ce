"""The listwise tier of kind likelihood."""

from __future__ import annotations

from collections.abc import Sequence

from cascade.budget import Budget
from cascade.inference.batcher import Stop
from cascade.inference.cost import approximate_tokens
from cascade.rerank.listwise.likelihood_model import LikelihoodModel
from cascade.rerank.listwise.scored import ListScores, truncations
from cascade.stages import Scores, Usage
from cascade.types import Candidate, Query


class LikelihoodReranker:
    """Scores each document by the probability of the query after it, many documents per pass; needs no training."""

    def __init__(
        self, name: str, model: LikelihoodModel, *, max_doc_tokens: int = 256, max_batch_tokens: int = 2048
    ) -> None:
        self._name = name
        self._model = model
        self._max_doc_tokens = max_doc_tokens
        self._max_batch_tokens = max_batch_tokens

    async def warm_up(self) -> None:
        """Load the model and check it. Raises ModelLoadError."""
        await self._model.warm_up()

    def estimate_cost(self, query: Query, candidates: Sequence[Candidate]) -> float:
        """Seconds, by the rate of the last passes."""
        asked = len(candidates) * approximate_tokens([query.text], most=self._max_doc_tokens)
        return self._model.cost.seconds(
            asked + approximate_tokens([c.text for c in candidates], most=self._max_doc_tokens)
        )

    async def score(self, query: Query, candidates: Sequence[Candidate], *, budget: Budget) -> Scores:
        """The mean log-probability of the query's tokens for each candidate, at most 0."""

        def work(stop: Stop) -> ListScores:
            self._model.ensure_loaded()
            return self._model.score(
                query.text,
                [c.text or "" for c in candidates],
                max_doc_tokens=self._max_doc_tokens,
                max_batch_tokens=self._max_batch_tokens,
                stop=stop,
            )

        found, waited = await self._model.queue.run(work, budget=budget)
        return Scores(found.scores, Usage(waited, found.tokens, truncations(self._name, candidates, found)))

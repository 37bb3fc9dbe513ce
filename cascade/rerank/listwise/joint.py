"""The listwise tier of kind joint."""

from __future__ import annotations

from collections.abc import Sequence

from cascade.budget import Budget
from cascade.inference.batcher import Stop
from cascade.inference.cost import approximate_tokens
from cascade.rerank.listwise.joint_model import JointModel
from cascade.rerank.listwise.scored import ListScores, truncations
from cascade.stages import Scores, Usage
from cascade.types import Candidate, Query


class JointReranker:
    """Scores documents that the model has read side by side: a score says how a document compares with the others."""

    def __init__(
        self, name: str, model: JointModel, *, max_doc_tokens: int = 256, max_block_tokens: int = 2048
    ) -> None:
        self._name = name
        self._model = model
        self._max_doc_tokens = max_doc_tokens
        self._max_block_tokens = max_block_tokens

    async def warm_up(self) -> None:
        """Load the model and check it. Raises ModelLoadError."""
        await self._model.warm_up()

    def estimate_cost(self, query: Query, candidates: Sequence[Candidate]) -> float:
        """Seconds, by the rate of the last blocks."""
        texts = [query.text, query.text, *(c.text for c in candidates)]
        return self._model.cost.seconds(approximate_tokens(texts, most=self._max_doc_tokens))

    async def score(self, query: Query, candidates: Sequence[Candidate], *, budget: Budget) -> Scores:
        """A cosine in [-1, 1] for each candidate."""

        def work(stop: Stop) -> ListScores:
            self._model.ensure_loaded()
            return self._model.score(
                query.text,
                [c.text or "" for c in candidates],
                max_doc_tokens=self._max_doc_tokens,
                max_block_tokens=self._max_block_tokens,
                stop=stop,
            )

        found, waited = await self._model.queue.run(work, budget=budget)
        return Scores(found.scores, Usage(waited, found.tokens, truncations(self._name, candidates, found)))

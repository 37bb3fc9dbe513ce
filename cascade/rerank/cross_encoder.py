"""The cross-encoder tier."""

from __future__ import annotations

from collections.abc import Sequence

from cascade.budget import Budget
from cascade.inference.batcher import Stop
from cascade.inference.cost import approximate_tokens
from cascade.inference.cross_encoder import CrossEncoderModel, PairScores
from cascade.stages import Scores, Usage
from cascade.types import Candidate, Query, Truncation


class CrossEncoderReranker:
    """Scores each document by reading it together with the query (Nogueira and Cho, 2019)."""

    def __init__(
        self, name: str, model: CrossEncoderModel, *, max_length: int = 256, max_batch_tokens: int = 4096
    ) -> None:
        self._name = name
        self._model = model
        self._max_length = max_length
        self._max_batch_tokens = max_batch_tokens

    async def warm_up(self) -> None:
        """Load the model. Raises ModelLoadError."""
        await self._model.warm_up()

    def estimate_cost(self, query: Query, candidates: Sequence[Candidate]) -> float:
        """Seconds, by the rate of the last batches."""
        asked = len(candidates) * approximate_tokens([query.text], most=self._max_length)
        return self._model.cost.seconds(asked + approximate_tokens([c.text for c in candidates], most=self._max_length))

    async def score(self, query: Query, candidates: Sequence[Candidate], *, budget: Budget) -> Scores:
        """The model's score for each candidate, on the model's own scale."""

        def work(stop: Stop) -> PairScores:
            self._model.ensure_loaded()
            return self._model.score_pairs(
                query.text,
                [c.text or "" for c in candidates],
                max_length=self._max_length,
                max_batch_tokens=self._max_batch_tokens,
                stop=stop,
            )

        pairs, waited = await self._model.queue.run(work, budget=budget)
        cut = tuple(
            Truncation(candidate.doc_id, self._name, seen, total)
            for candidate, (seen, total) in zip(candidates, pairs.seen, strict=True)
            if seen < total
        )
        return Scores(pairs.scores, Usage(waited, pairs.tokens, cut))

"""What all tiers with a model share: they wait in its queue, cost what it costs, and tell what it cut."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from cascade.budget import Budget
from cascade.inference.cost import approximate_tokens
from cascade.inference.model import ServedModel
from cascade.inference.scored import Scored
from cascade.inference.stepwise import Stepwise
from cascade.stages import Scores, Usage
from cascade.types import Candidate, Query, Truncation


class ModelReranker(ABC):
    """A tier says how its model reads; everything else is here. `most` is the tokens it reads of one text."""

    def __init__(self, name: str, model: ServedModel, most: int) -> None:
        self._name = name
        self._served = model
        self._most = most

    @abstractmethod
    def _read(self, query: str, passages: Sequence[str]) -> Stepwise[Scored]:
        """Score in this thread, step by step."""

    def _read_candidates(self, query: str, candidates: Sequence[Candidate]) -> Stepwise[Scored]:
        """As `_read`; for a tier that reads more of a candidate than its text."""
        return self._read(query, [c.text or "" for c in candidates])

    def _texts_read(self, query: str, passages: Sequence[str]) -> list[str]:
        """Every text that the model reads, as often as it reads it; by default the query with each passage."""
        return [query] * len(passages) + list(passages)

    def _tokens(self, query: Query, candidates: Sequence[Candidate]) -> float:
        """How many the model is expected to read."""
        texts = self._texts_read(query.text, [c.text or "" for c in candidates])
        return approximate_tokens(texts, most=self._most)

    async def warm_up(self) -> None:
        """Load the model and check it. Raises ModelLoadError."""
        await self._served.warm_up()

    def estimate_cost(self, query: Query, candidates: Sequence[Candidate]) -> float:
        """Seconds, by the rate of the last batches."""
        return self._served.cost.seconds(self._tokens(query, candidates))

    async def score(self, query: Query, candidates: Sequence[Candidate], *, budget: Budget) -> Scores:
        """The model's score for each candidate, on the model's own scale."""

        def work() -> Stepwise[Scored]:
            self._served.ensure_loaded()
            return (yield from self._read_candidates(query.text, candidates))

        expected = self._tokens(query, candidates)
        found, waited = await self._served.queue.run(work, budget=budget, tokens=expected)
        cut = tuple(
            Truncation(candidate.doc_id, self._name, seen, total)
            for candidate, (seen, total) in zip(candidates, found.seen, strict=True)
            if seen < total
        )
        return Scores(found.scores, Usage(waited, found.tokens, cut))

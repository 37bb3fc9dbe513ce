"""What all tiers with a model share: they wait in its queue, cost what it costs, and tell what it cut."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace

from cascade.budget import Budget
from cascade.inference.caches import Memory
from cascade.inference.cost import approximate_tokens
from cascade.inference.model import ServedModel
from cascade.inference.scored import Scored
from cascade.inference.stepwise import Stepwise
from cascade.stages import Scores, Usage
from cascade.types import Candidate, Query, Truncation


class ModelReranker(ABC):
    """A tier says how its model reads; everything else is here. `most` is the tokens it reads of one text."""

    _settings: tuple[object, ...] | None = None
    """What beside query and passage decides on a score; None where it cannot be told, and no score is remembered."""

    def __init__(self, name: str, model: ServedModel, most: int) -> None:
        self._name = name
        self._served = model
        self._most = most

    @abstractmethod
    def _read(self, query: str, passages: Sequence[str]) -> Stepwise[Scored]:
        """Score in this thread, step by step."""

    def _read_candidates(self, query: str, candidates: Sequence[Candidate], memory: Memory) -> Stepwise[Scored]:
        """As `_read`; for a tier that reads more of a candidate than its text. `memory` is the model's."""
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

    def estimate_cost(self, query: Query, candidates: Sequence[Candidate], *, account: str = "") -> float:
        """Seconds, by the rate of the last batches, for all whose scores are not remembered for `account`."""
        memory, passages = self._served.cache.of(account), [c.text or "" for c in candidates]
        places = memory.without_score(query.text, passages, self._settings)
        tokens = self._tokens(query, [candidates[place] for place in places]) if places else 0.0
        return self._served.cost.seconds(tokens)

    async def score(self, query: Query, candidates: Sequence[Candidate], *, budget: Budget) -> Scores:
        """The model's score for each candidate, on the model's own scale."""
        memory = self._served.cache.of(budget.account.name)
        known = memory.scores(query.text, [c.text or "" for c in candidates], self._settings)
        missing = [candidates[place] for place in known.missing]
        usage = Usage(cached=known.cached)
        if missing:
            found, waited = await self._run(query, missing, memory, budget)
            known.add(found)
            usage = Usage(waited, found.tokens, cached=known.cached + found.cached)
        cut = tuple(
            Truncation(candidate.doc_id, self._name, seen, total)
            for candidate, (seen, total) in zip(candidates, known.seen, strict=True)
            if seen < total
        )
        return Scores(known.scores, replace(usage, truncations=cut, backend=self._served.backend))

    async def _run(
        self, query: Query, candidates: Sequence[Candidate], memory: Memory, budget: Budget
    ) -> tuple[Scored, float]:
        """Have the model read them, and the seconds that it was waited for."""

        def work() -> Stepwise[Scored]:
            self._served.ensure_loaded()
            return (yield from self._read_candidates(query.text, candidates, memory))

        return await self._served.queue.run(work, budget=budget, tokens=self._tokens(query, candidates))

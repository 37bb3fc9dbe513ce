"""What the tiers share that ask a language model about lists of documents: it reads, they decide which lists."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from cascade.budget import Budget
from cascade.inference.cost import approximate_tokens
from cascade.rerank.listwise.steps import Steps, in_both_orders
from cascade.rerank.listwise.task import Ranked, Reader, Task
from cascade.stages import Scores, Usage
from cascade.types import Candidate, Query, Truncation


class ListReranker(ABC):
    """Its scores are n, n - 1, ... 1 by place: a list's logits say nothing about another list's documents.

    Bounded by the budget: when it ends before the lists do, the best order so far is the answer, and is called that.
    """

    def __init__(self, name: str, reader: Reader, max_doc_tokens: int, *, both_orders: bool = False) -> None:
        self._both_orders = both_orders
        self._name = name
        self._reader = reader
        self._max_doc_tokens = max_doc_tokens

    @abstractmethod
    def _steps(self, count: int) -> Steps:
        """The lists of `count` documents to be read, and what follows from them."""

    @abstractmethod
    def _longest(self, count: int) -> int:
        """The most documents of a list, of `count` in all."""

    @abstractmethod
    def _least(self, count: int) -> int:
        """How many documents must be read, one counted as often as it is read, before reading is worth its time."""

    async def warm_up(self) -> None:
        """Load the model and run the self-test. Raises ModelLoadError."""
        await self._reader.warm_up()

    def estimate_cost(self, query: Query, candidates: Sequence[Candidate], *, account: str = "") -> float:
        """Seconds until there is something to answer with, by the rate of the last passes; not until the end."""
        if not candidates:
            return 0.0
        longest, least = self._longest(len(candidates)), self._least(len(candidates))
        tokens = approximate_tokens([c.text for c in candidates], most=self._max_doc_tokens)
        prompts = -(-least // longest) * approximate_tokens([query.text], most=self._max_doc_tokens)
        times = 2 if self._both_orders else 1
        return self._reader.cost.seconds(times * (tokens * least / len(candidates) + prompts))

    async def score(self, query: Query, candidates: Sequence[Candidate], *, budget: Budget) -> Scores:
        """A different whole number for each candidate, the number of candidates for the best."""
        count = len(candidates)
        task = Task(query.text, [c.text or "" for c in candidates], self._longest(count), self._max_doc_tokens)
        steps = in_both_orders(self._steps(count)) if self._both_orders else self._steps(count)
        found = await self._reader.rank(task, steps, budget=budget)
        values = [0.0] * count
        for place, position in enumerate(found.order):
            values[position] = float(count - place)
        cut = tuple(
            Truncation(candidate.doc_id, self._name, seen, total)
            for candidate, (seen, total) in zip(candidates, found.seen, strict=True)
            if seen < total
        )
        return Scores(
            tuple(values),
            Usage(found.waited, found.tokens, cut, found.repairs, _incomplete(found), backend=found.backend),
        )


def _incomplete(found: Ranked) -> str:
    """What the answer lacks, in a sentence."""
    lacks = [found.failure] if found.failure else []
    if not found.complete:
        lists = "one list of documents was" if found.read == 1 else f"{found.read} lists of documents were"
        lacks.append(
            f"time ran out when {lists} read, and the order so far is the answer; allow a larger budget for all of them"
        )
    return "; ".join(lacks)

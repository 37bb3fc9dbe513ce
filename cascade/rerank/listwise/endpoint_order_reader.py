"""Has a language model behind an OpenAI-compatible server write the order of each list that it is shown."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

import structlog

from cascade.budget import Budget
from cascade.errors import CascadeError, OverloadedError, StageError
from cascade.inference.cost import CHARS_PER_TOKEN, CostEstimate
from cascade.inference.scored import PROBE
from cascade.rerank.listwise.endpoint import Completion, Endpoint, piece
from cascade.rerank.listwise.endpoint_client import at_once
from cascade.rerank.listwise.endpoint_reader import AROUND
from cascade.rerank.listwise.list_check import PAIR, pair_problem
from cascade.rerank.listwise.list_prompt import ListPrompt
from cascade.rerank.listwise.order import Order, Repairs, parse, unmistakable, write
from cascade.rerank.listwise.steps import Answer, Lists, Steps, run_async
from cascade.rerank.listwise.task import Ranked, Task

log = structlog.get_logger()

_MAX_QUERY_TOKENS = 512
_SHARE = 0.95
"""Of a tier's time for its calls: what came of them must still reach the engine."""
_EXAMPLE_QUERY = "how tall is mount everest"
_EXAMPLE = ("Bread is baked from flour.", "Mount Everest is 8849 metres tall.", "Mount Everest lies in the Himalayas.")
_EXAMPLE_ORDER = ("2", "3", "1")
_TOKENS_PER_PLACE = 8
_TOKENS_AROUND = 32


class EndpointOrderReader:
    """Asks about at most `concurrency` lists of a request at once. A list that gets no order stays as it came.

    Every document of such a list counts as a repair, and the reason is told; only when no list got an order, there is
    no answer.
    """

    def __init__(self, endpoint: Endpoint, kind: str, prompt: ListPrompt, *, concurrency: int) -> None:
        self._endpoint = endpoint
        self._kind = kind
        self._prompt = prompt
        self._concurrency = concurrency
        self.cost = CostEstimate()
        """Seconds for each token of a prompt, with what is written after it."""

    async def warm_up(self) -> None:
        """Run this kind's self-test. Raises ModelLoadError for a model that does not pass or a key that is refused.

        An endpoint that cannot be reached now is no reason to refuse a cascade that answers without it: that is logged,
        and the test runs with the first request that reaches it.
        """
        try:
            await self._ensure_ready(Budget())
        except (StageError, OverloadedError, TimeoutError) as error:
            log.warning("endpoint_not_tested", endpoint=self._endpoint.reference, problem=_sentence(error))

    async def rank(self, task: Task, steps: Steps, *, budget: Budget) -> Ranked:
        """What `steps` makes of the orders that came in time. Raises what the first call raised when none came."""
        within = budget.share(_SHARE)
        await self._ensure_ready(within)
        return await _Asking(self._endpoint, self._prompt, task, within, self._concurrency, self.cost).rank(steps)

    async def _ensure_ready(self, budget: Budget) -> None:
        await self._endpoint.ensure_passes(f"{self._kind} ({self._prompt.name})", lambda: self._problem(budget))

    async def _problem(self, budget: Budget) -> str:
        """What keeps the model from writing orders by the prompt, or nothing.

        Where it names the same place first in both orders of the known pair, as small models do, the log-probabilities
        of that place decide, if the endpoint tells them.
        """
        right = 0
        for pair in (PAIR, PAIR[::-1]):
            found = await self._complete(pair, budget, with_alternatives=False)
            order = parse(found.text, len(pair))
            if order.repairs.missing == len(pair):
                return f"asked for an order such as {write((1, 0))} it wrote {found.text[:80]!r}, which names none"
            right += pair[order.positions[0]] == PAIR[1]
        if right == len(PAIR):
            return ""
        told = [await self._complete(pair, budget, with_alternatives=True) for pair in (PAIR, PAIR[::-1])]
        answers = [first_choice(one.alternatives) for one in told]
        if all(answers):
            return pair_problem(answers)
        return (
            f"its self-test put an answer before an unrelated passage in {right} of the two orders of a known pair, "
            "expected both; choose a language model that was trained to follow instructions"
        )

    async def _complete(self, pair: Sequence[str], budget: Budget, *, with_alternatives: bool) -> Completion:
        return await self._endpoint.complete(
            self._prompt.text(PROBE, pair),
            max_tokens=most_tokens(len(pair)),
            budget=budget,
            example=example_of(self._prompt),
            with_alternatives=with_alternatives,
        )


class _Asking:
    """One request's lists."""

    def __init__(
        self, endpoint: Endpoint, prompt: ListPrompt, task: Task, budget: Budget, concurrency: int, cost: CostEstimate
    ) -> None:
        self._endpoint = endpoint
        self._prompt = prompt
        self._budget = budget
        self._places = asyncio.Semaphore(concurrency)
        self._cost = cost
        self._example = example_of(prompt)
        self._query = piece(unmistakable(task.query), _MAX_QUERY_TOKENS)[0]
        pieces = [piece(unmistakable(" ".join(text.split())), task.max_doc_tokens) for text in task.passages]
        self._passages = [text for text, _, _ in pieces]
        self._seen = tuple((kept, total) for _, kept, total in pieces)
        self._tokens = self._ordered = self._untouched = 0
        self._waited = 0.0
        self._repairs = Repairs()
        self._failures: list[Exception] = []

    async def rank(self, steps: Steps) -> Ranked:
        order, complete = await run_async(steps, self._answers)
        if not self._ordered and self._failures:
            raise self._failures[0]
        if not self._ordered and not complete:
            raise TimeoutError
        return Ranked(
            tuple(order),
            self._ordered + len(self._failures),
            complete,
            self._tokens,
            self._seen,
            self._repairs.total + self._untouched,
            self._waited,
            self._failure(),
        )

    def _failure(self) -> str:
        if not self._failures:
            return ""
        lists = "one list" if len(self._failures) == 1 else f"{len(self._failures)} lists"
        first = _sentence(self._failures[0])
        log.warning("lists_without_order", endpoint=self._endpoint.reference, lists=len(self._failures), problem=first)
        return f"{lists} of documents got no order and stay as they came: {first}"

    async def _answers(self, lists: Lists) -> list[Answer]:
        """As many, from the first, as were answered or failed before time ran out."""
        found = await at_once(self._answer(one) for one in lists)
        late = found.index(None) if None in found else len(found)
        return [answer for answer in found[:late] if answer is not None]

    async def _answer(self, one: Sequence[int]) -> Answer | None:
        """The scores of a list, equal ones where it got no order, None when time ran out."""
        if len(one) < 2:
            return [0.0] * len(one)
        async with self._places:
            if self._budget.expired:
                return None
            try:
                return (await self._order(one)).scores()
            except (CascadeError, TimeoutError) as error:
                if self._budget.expired:
                    return None
                self._failures.append(error)
                self._untouched += len(one)
                return [0.0] * len(one)

    async def _order(self, one: Sequence[int]) -> Order:
        prompt = self._prompt.text(self._query, [self._passages[i] for i in one])
        start = time.perf_counter()
        told = await self._endpoint.complete(
            prompt, max_tokens=most_tokens(len(one)), budget=self._budget, example=self._example
        )
        self._cost.observe(int(len(prompt) / CHARS_PER_TOKEN), time.perf_counter() - start - told.waited)
        order = parse(told.text, len(one))
        self._tokens += told.tokens
        self._waited += told.waited
        self._ordered += 1
        self._repairs += order.repairs
        return order


def first_choice(written: Sequence[tuple[str, Mapping[str, float]]]) -> list[float]:
    """The log-probabilities of 1 and 2 where the model first wrote a number; nothing where they are not told."""
    for token, alternatives in written:
        if token.strip(AROUND).isdigit():
            told = {text.strip(AROUND): value for text, value in sorted(alternatives.items(), key=lambda one: one[1])}
            return [told["1"], told["2"]] if {"1", "2"} <= told.keys() else []
    return []


def example_of(prompt: ListPrompt) -> tuple[str, str]:
    """A list and its order, shown before what is asked: without it small models write sentences and no order."""
    return prompt.text(_EXAMPLE_QUERY, _EXAMPLE), " > ".join(prompt.answer(identifier) for identifier in _EXAMPLE_ORDER)


def most_tokens(count: int) -> int:
    """What a model may write for `count` passages: their order, and a few words around it."""
    return _TOKENS_PER_PLACE * count + _TOKENS_AROUND


def _sentence(error: Exception) -> str:
    return str(error) or "it did not answer in time"

"""Puts lists of passages to a language model behind an OpenAI-compatible server, several at once."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence

from cascade.budget import Budget
from cascade.inference.cost import CostEstimate
from cascade.inference.scored import PROBE
from cascade.rerank.listwise.endpoint import TOP_LOGPROBS, Endpoint, FirstToken, piece
from cascade.rerank.listwise.list_check import PAIR, pair_problem
from cascade.rerank.listwise.list_prompt import LETTERS, ListPrompt
from cascade.rerank.listwise.steps import Answer, Lists, Steps, run_async
from cascade.rerank.listwise.task import Ranked, Task

_MAX_QUERY_TOKENS = 512
_WAY_BACK = 0.01
"""Seconds from the endpoint's answer to ours, within which no call may end."""
AROUND = " \t\n[](){}.:*\"'Ġ▁"


class EndpointReader:
    """Reads an answer from the log-probabilities of the first token that the endpoint tells.

    It tells the likeliest few, of which some may be no identifiers: a document whose identifier is not told comes after
    those whose are, in incoming order, and counts as a repair.
    """

    def __init__(self, endpoint: Endpoint, kind: str, prompt: ListPrompt, *, most: int) -> None:
        """`most` is the longest list that this tier will ever ask for."""
        self._endpoint = endpoint
        self._kind = kind
        self._prompt = prompt
        self._most = most

    @property
    def cost(self) -> CostEstimate:
        """Seconds per token."""
        return self._endpoint.cost

    async def warm_up(self) -> None:
        """Reach the endpoint and run this kind's self-test. Raises ModelLoadError."""
        await self._ensure_ready(Budget())

    async def rank(self, task: Task, steps: Steps, *, budget: Budget) -> Ranked:
        """What `steps` makes of the answers that there was time for. Raises TimeoutError when there was none."""
        await self._ensure_ready(budget)
        return await _Reading(self._endpoint, self._prompt, task, budget).rank(steps)

    async def _ensure_ready(self, budget: Budget) -> None:
        await self._endpoint.ensure_passes(f"{self._kind} ({self._prompt.name})", lambda: self._problem(budget))

    async def _problem(self, budget: Budget) -> str:
        if self._most > TOP_LOGPROBS:
            return f"it tells {TOP_LOGPROBS} first tokens at most, and a list has {self._most} documents; shorten lists"
        answers = []
        for pair in (PAIR, PAIR[::-1]):
            found = await self._endpoint.first_token(self._prompt.text(PROBE, pair), budget=budget)
            answer, missing = read_answer(found.log_probabilities, len(pair))
            if missing:
                told = ", ".join(repr(token) for token in list(found.log_probabilities)[:5])
                return f"asked for the letter A or B it begins an answer with {told}; expected both among what it tells"
            answers.append(answer)
        return pair_problem(answers)


class _Reading:
    """One request's lists."""

    def __init__(self, endpoint: Endpoint, prompt: ListPrompt, task: Task, budget: Budget) -> None:
        self._endpoint = endpoint
        self._prompt = prompt
        self._budget = budget.at_most(max(0.0, budget.remaining - _WAY_BACK))
        self._query = piece(task.query, _MAX_QUERY_TOKENS)[0]
        pieces = [piece(" ".join(text.split()), task.max_doc_tokens) for text in task.passages]
        self._passages = [text for text, _, _ in pieces]
        self._seen = tuple((kept, total) for _, kept, total in pieces)
        self._tokens = self._read = self._repairs = 0
        self._waited = 0.0

    async def rank(self, steps: Steps) -> Ranked:
        order, complete = await run_async(steps, self._answers)
        if not complete and not self._read:
            raise TimeoutError
        return Ranked(tuple(order), self._read, complete, self._tokens, self._seen, self._repairs, self._waited)

    async def _answers(self, lists: Lists) -> list[Answer]:
        """As many, from the first, as were answered in time."""
        asking = [asyncio.ensure_future(self._answer(one)) for one in lists]
        try:
            found = await asyncio.gather(*asking)
        finally:
            for call in asking:  # those that are left when another failed
                call.cancel()
        late = found.index(None) if None in found else len(found)
        return [answer for answer in found[:late] if answer is not None]

    async def _answer(self, one: Sequence[int]) -> Answer | None:
        if len(one) < 2:
            return [0.0] * len(one)
        text = self._prompt.text(self._query, [self._passages[i] for i in one])
        try:
            told: FirstToken = await self._endpoint.first_token(text, budget=self._budget)
        except TimeoutError:
            return None
        answer, missing = read_answer(told.log_probabilities, len(one))
        self._tokens += told.tokens
        self._waited += told.waited
        self._read += 1
        self._repairs += missing
        return answer


def read_answer(told: Mapping[str, float], count: int) -> tuple[list[float], int]:
    """The log-probabilities of the first `count` identifiers, and how many of them were not told.

    A letter counts with whatever a tokenizer puts around it. Those not told get 1 less than the least that was.
    """
    found: dict[str, float] = {}
    for token, value in told.items():
        letter = token.strip(AROUND)
        if math.isfinite(value):
            found[letter] = max(value, found.get(letter, -math.inf))
    wanted = [found.get(letter) for letter in LETTERS[:count]]
    least = min((value for value in wanted if value is not None), default=0.0) - 1.0
    return [least if value is None else value for value in wanted], wanted.count(None)

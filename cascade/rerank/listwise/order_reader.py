"""Has a language model in this process write the order of each list that it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Any

from cascade.budget import Budget
from cascade.inference.cost import CostEstimate
from cascade.inference.stepwise import AbandonedError, Stepwise, run_through
from cascade.rerank.listwise.fronts import Fronts
from cascade.rerank.listwise.language_model import LanguageModel, Written
from cascade.rerank.listwise.list_check import PAIR, most_query_tokens, pair_problem, prompt_problem, show
from cascade.rerank.listwise.list_prompt import ListPrompt
from cascade.rerank.listwise.order import Order, Repairs, parse, repair, unmistakable
from cascade.rerank.listwise.order_grammar import OrderGrammar
from cascade.rerank.listwise.steps import Answer, Lists, Steps, run
from cascade.rerank.listwise.task import Ranked, Task

_CAUTION = 1.25
"""A list is read when so many times what it is expected to take is left."""
_WAY_BACK = 0.01
"""Seconds from this thread to the answer, within which no list may end."""
_FREE = 2
"""How many times the tokens of a plain order a model may write that is not constrained to one."""


class OrderReader:
    """Greedy decoding. When `constrained`, nothing but an order can be written, and there is nothing to repair."""

    def __init__(
        self,
        model: LanguageModel,
        kind: str,
        prompt: ListPrompt,
        *,
        most: int,
        constrained: bool,
        plain: bool = False,
    ) -> None:
        """`most` is the longest list that this tier will ever ask for. When `plain`, every prompt is read whole and
        every token asked for, as others do: for comparison."""
        self._plain = plain
        self._model = model
        self._kind = kind
        self._prompt = prompt
        self._most = most
        self._constrained = constrained
        self.cost = CostEstimate()
        """Seconds for each token of a prompt, with what is written after it."""

    async def warm_up(self) -> None:
        """Load the model and run this kind's self-test. Raises ModelLoadError."""
        await self._model.queue.run(self._ensure_ready, budget=Budget())

    async def rank(self, task: Task, steps: Steps, *, budget: Budget) -> Ranked:
        """What `steps` makes of the orders that there was time for. Raises TimeoutError when there was none."""

        def work() -> Stepwise[Ranked]:
            self._ensure_ready()
            return (yield from _Writing(self, task, budget).rank(steps))

        ranked, waited = await self._model.queue.run(work, budget=budget, tokens=task.tokens)
        return replace(ranked, waited=waited, backend=self._model.backend)

    def write(
        self, prompt: Sequence[int], count: int, fronts: Fronts | None = None, front: int = 0
    ) -> Stepwise[tuple[Order, Written]]:
        """The order of the `count` passages of a prompt, and what was written, a choice a step.

        What `fronts` hold of the prompt is not read again; they hold its first `front` tokens afterwards.
        """
        grammar, shared = order_grammar(self._model, self._prompt, count)
        options: dict[str, Any] = {"fronts": fronts, "front": front, "plain": self._plain}
        if self._constrained:
            most, begun = grammar.longest(), [*prompt, *shared]
            found = yield from self._model.generate(begun, max_new_tokens=most, allowed=grammar.allowed, **options)
            return repair(grammar.named(found.ids), count), found
        found = yield from self._model.generate(prompt, max_new_tokens=_FREE * grammar.longest(), **options)
        return parse(self._prompt.start + self._model.chat.read(found.ids), count), found

    def fronts(self) -> Fronts:
        """Of a new request."""
        return Fronts(self._model.instructions(self._prompt.instruction(self._model.chat)))

    def front(self, query: Sequence[int], passage: Sequence[int]) -> int:
        """How many tokens a prompt has up to the end of its first passage."""
        return self._prompt.front(self._model.chat, query, passage)

    @property
    def model(self) -> LanguageModel:
        """The model, loaded once `warm_up` or `rank` ran."""
        return self._model

    def ids(self, query: Sequence[int], passages: Sequence[Sequence[int]]) -> list[int]:
        """The prompt that shows these passages, up to where the first identifier of the answer begins."""
        return self._model.chat.prompt(self._prompt.pieces(query, passages), start=self._prompt.start)

    def room(self, query_tokens: int, count: int) -> int:
        """How many tokens of each of `count` passages the model can read, and still write their order."""
        written = _FREE * order_grammar(self._model, self._prompt, count)[0].longest()
        return self._prompt.room(self._model.chat, query_tokens, count, self._model.most_tokens - written)

    def _ensure_ready(self) -> None:
        self._model.ensure_loaded()
        how = "constrained" if self._constrained else "free"
        self._model.ensure_passes(f"{self._kind} ({self._prompt.name}, {self._most} passages, {how})", self._problem)

    def _problem(self) -> str:
        """What keeps the model from writing orders by the prompt, or nothing."""
        try:
            grammar, shared = order_grammar(self._model, self._prompt, max(len(PAIR), self._most))
        except ValueError as error:
            return f"its vocabulary cannot write an order token by token ({error}); use another model"
        room = self.room(most_query_tokens(self._model), self._most)
        if room < 1:
            return f"it reads {self._model.most_tokens} tokens at once, too few for {self._most} passages; use less"
        if problem := prompt_problem(self._model.chat, self._prompt):
            return problem
        both = [show(self._model.chat, self._prompt, pair) for pair in (PAIR, PAIR[::-1])]
        if not self._constrained:
            for ids in both:
                order, _ = run_through(self.write(ids, len(PAIR)))
                if order.repairs.missing:
                    return "it does not write an order when it is asked for one; set constrained to true"
        first = [ids[0] for ids in grammar.identifiers[: len(PAIR)]]
        return pair_problem(self._model.next_token_logits([[*ids, *shared] for ids in both], first).tolist())


class _Writing:
    """One request's lists, in the thread that holds the model."""

    def __init__(self, reader: OrderReader, task: Task, budget: Budget) -> None:
        self._reader = reader
        self._budget = budget
        chat = reader.model.chat
        self._query, _ = chat.text(task.query, most_query_tokens(reader.model))
        longest = min(task.max_doc_tokens, reader.room(len(self._query), task.most))
        texts = [chat.text(unmistakable(" ".join(text.split()))) for text in task.passages]
        self._passages = [ids[:longest] for ids, _ in texts]
        self._seen = tuple((min(longest, total), total) for _, total in texts)
        self._fronts = reader.fronts()
        self._tokens = self._read = 0
        self._repairs = Repairs()

    def rank(self, steps: Steps) -> Stepwise[Ranked]:
        order, complete = yield from run(steps, self._answers)
        if not complete and not self._read:
            raise AbandonedError
        return Ranked(tuple(order), self._read, complete, self._tokens, self._seen, self._repairs.total)

    def _answers(self, lists: Lists) -> Stepwise[list[Answer]]:
        """As many as there was time for; a list of one needs no order."""
        answers: list[Answer] = []
        for one in lists:
            if len(one) < 2:
                answers.append([0.0] * len(one))
                continue
            prompt = self._reader.ids(self._query, [self._passages[i] for i in one])
            if self._out_of_time(_CAUTION * self._reader.cost.seconds(len(prompt))):
                break
            try:
                order, written = yield from self._reader.write(prompt, len(one), self._fronts, self._front(one))
            except AbandonedError:  # half an order is none
                break
            self._reader.cost.observe(len(prompt), written.seconds)  # others' turns are not its cost
            self._tokens += len(prompt) + len(written.ids)
            self._read += 1
            self._repairs += order.repairs
            answers.append(order.scores())
        return answers

    def _front(self, one: Sequence[int]) -> int:
        return self._reader.front(self._query, self._passages[one[0]])

    def _out_of_time(self, needed: float = 0.0) -> bool:
        return self._budget.remaining <= needed + _WAY_BACK


def order_grammar(model: LanguageModel, prompt: ListPrompt, count: int) -> tuple[OrderGrammar, list[int]]:
    """The grammar of an order of `count` passages, and what the answer begins with: ids that every identifier shares.

    Raises ValueError when the vocabulary has no such tokens.
    """
    start = model.chat.ours(prompt.start)
    whole = [model.chat.ours(prompt.answer(str(number))) for number in range(1, max(2, count) + 1)]
    if any(ids[: len(start)] != start for ids in whole):
        raise ValueError(f"the token of an identifier has a part of {prompt.start!r}")
    identifiers = [ids[len(start) :] for ids in whole]
    columns = takewhile(lambda column: len(set(column)) == 1, zip(*identifiers, strict=False))
    shared = [column[0] for column in columns]
    separator = [*model.chat.ours(f" > {prompt.start}"), *shared]
    return OrderGrammar([ids[len(shared) :] for ids in identifiers[:count]], separator), shared

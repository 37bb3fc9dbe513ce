"""Puts lists of passages to a language model in this process, while there is time for the next."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import takewhile

import numpy as np

from cascade.budget import Budget
from cascade.errors import StageError
from cascade.inference.batches import consecutive
from cascade.inference.cost import CostEstimate
from cascade.inference.rows import Rows
from cascade.inference.stepwise import AbandonedError, Stepwise
from cascade.rerank.listwise.fronts import Fronts
from cascade.rerank.listwise.language_model import LanguageModel, Logits, Question, Told
from cascade.rerank.listwise.list_check import most_query_tokens, problem_of
from cascade.rerank.listwise.list_prompt import ListPrompt
from cascade.rerank.listwise.memory import Memory
from cascade.rerank.listwise.steps import Answer, Lists, Steps, run
from cascade.rerank.listwise.task import Ranked, Task

MAX_BATCH_TOKENS = 2048
_CAUTION = 1.25
"""A pass starts when so many times what it is expected to take is left."""
_WAY_BACK = 0.01
"""Seconds from this thread to the answer, within which no pass may end."""


class ListReader:
    """Reads an answer from the logits of the identifiers at the answer's first token; all of them have one."""

    def __init__(self, model: LanguageModel, kind: str, prompt: ListPrompt, *, most: int) -> None:
        """`most` is the longest list that this tier will ever ask for."""
        self._model = model
        self._kind = kind
        self._prompt = prompt
        self._most = most

    @property
    def cost(self) -> CostEstimate:
        """Seconds per token."""
        return self._model.cost

    async def warm_up(self) -> None:
        """Load the model and run this kind's self-test. Raises ModelLoadError."""
        await self._model.queue.run(self.ensure_ready, budget=Budget())

    async def rank(self, task: Task, steps: Steps, *, budget: Budget) -> Ranked:
        """What `steps` makes of the answers that there was time for. Raises TimeoutError when there was none."""

        def work() -> Stepwise[Ranked]:
            self.ensure_ready()
            return (yield from _Reading(self._model, self._prompt, task, budget).rank(steps))

        ranked, waited = await self._model.queue.run(work, budget=budget, tokens=task.tokens)
        return replace(ranked, waited=waited, backend=self._model.backend)

    def ensure_ready(self) -> None:
        """As `warm_up`, in the thread that holds the model."""
        self._model.ensure_loaded()
        self._model.ensure_passes(
            f"{self._kind} ({self._prompt.name}, {self._most} passages)",
            lambda: problem_of(self._model, self._prompt, most=self._most),
        )


class _Reading:
    """One request's lists, in the thread that holds the model."""

    def __init__(self, model: LanguageModel, prompt: ListPrompt, task: Task, budget: Budget) -> None:
        self._model = model
        self._prompt = prompt
        self._budget = budget
        self._identifiers = prompt.identifier_ids(model.chat)
        self._fronts = Fronts(model.instructions(prompt.instruction(model.chat)))
        self._query, _ = model.chat.text(task.query, most_query_tokens(model))
        room = prompt.room(model.chat, len(self._query), task.most, model.most_tokens)
        longest = min(task.max_doc_tokens, room)
        texts = [model.chat.text(" ".join(text.split())) for text in task.passages]
        self._passages = [ids[:longest] for ids, _ in texts]
        self._seen = tuple((min(longest, total), total) for _, total in texts)
        self._tokens = 0
        self._read = 0

    def rank(self, steps: Steps) -> Stepwise[Ranked]:
        order, complete = yield from run(steps, self._answers)
        if not complete and not self._read:
            raise AbandonedError
        return Ranked(tuple(order), self._read, complete, self._tokens, self._seen)

    def _answers(self, lists: Lists) -> Stepwise[list[Answer]]:
        """As many as there was time for, a pass a step; a list of one needs no reading."""
        asked = [one for one in lists if len(one) > 1]
        prompts = [
            self._model.chat.prompt(
                self._prompt.pieces(self._query, [self._passages[i] for i in one]), start=self._prompt.start
            )
            for one in asked
        ]
        found: list[Logits] = []
        for part in consecutive([len(ids) for ids in prompts], self._model.step_tokens(MAX_BATCH_TOKENS)):
            questions = [self._question(prompts[i]) for i in part]
            together: Rows[Question, Told] = Rows(self._model.lane, questions, [len(one.span.ids) for one in questions])
            if not self._time_for(sum(together.lengths)):
                break
            with suppress(AbandonedError):
                yield together
            read = list(takewhile(lambda told: told is not None, together.results))
            for told, question, i in zip(read, questions, part, strict=False):  # fewer when it was given up
                self._take(told, question, asked[i])
                found.append(told.logits)
            if len(read) < len(part):
                break
        answers: list[Answer] = []
        rows = iter(found)
        for one in lists:
            if len(one) < 2:
                answers.append([0.0] * len(one))
            elif (row := next(rows, None)) is not None:
                answers.append([float(logit) for logit in row[: len(one)]])
            else:
                break
        return answers

    def _question(self, prompt: Sequence[int]) -> Question:
        """The prompt from where it parts from those read before."""
        from cascade.rerank.listwise.span import Span

        before, held = self._fronts.longest(prompt)
        span = Span(prompt[held:], (len(prompt) - held - 1,), before, held, Memory())
        return Question(span, self._identifiers)

    def _take(self, told: Told, question: Question, one: Sequence[int]) -> None:
        if not np.isfinite(told.logits).all():
            raise StageError(self._model.reference, "its logits are not finite; run it in another number format")
        self._tokens += len(question.span.ids)
        self._read += 1
        if question.span.keep is not None:
            front = self._prompt.front(self._model.chat, self._query, self._passages[one[0]])
            self._fronts.add(question.span.keep, front)

    def _time_for(self, tokens: int) -> bool:
        return self._budget.remaining > _CAUTION * self._model.cost.seconds(tokens) + _WAY_BACK

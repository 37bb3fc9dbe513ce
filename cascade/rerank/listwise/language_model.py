"""A causal language model that several listwise kinds share: what it would say next, and what it says."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cascade.errors import ModelLoadError
from cascade.inference.device import hide_loading_bars, pick_device
from cascade.inference.model import ModelStatus, ServedModel
from cascade.inference.rows import Lane, Rows
from cascade.inference.stepwise import Stepwise, run_through
from cascade.rerank.listwise.chat import Chat
from cascade.rerank.listwise.fronts import Fronts
from cascade.rerank.listwise.memory import Memory
from cascade.weights import resolve_model

if TYPE_CHECKING:
    import torch

    from cascade.rerank.listwise.decoder import Decoder
    from cascade.rerank.listwise.span import Span

Logits = npt.NDArray[np.float32]
Allowed = Callable[[Sequence[int]], Sequence[int]]
"""Given the ids generated so far, those that may come next; none ends the generation."""

_SHORT = 8
"""Tokens of a row up to which a pass costs what its weights cost to fetch, and says nothing of reading."""


@dataclass(frozen=True, eq=False, slots=True)
class Question:
    """What comes after a span? The logits of `choices` are wanted, of the whole vocabulary if None, or none."""

    span: Span
    choices: Sequence[int] | None


@dataclass(frozen=True, slots=True)
class Told:
    """The logits of a question's choices, and its part of the seconds that the pass took."""

    logits: Logits
    seconds: float


@dataclass(frozen=True, slots=True)
class Written:
    """The ids of an answer, without its prompt, and the seconds that reading and writing took."""

    ids: list[int]
    seconds: float


class LanguageModel(ServedModel):
    """Any causal language model, in memory once whichever kinds read through it. A sequence never sees another's.

    A kind checks its own prompt once with `ensure_passes`; a kind that fails is refused, and the others still run.
    """

    kind = "language_model"
    most_step_tokens = 1024
    chat: Chat
    """The only way to make a prompt: the tokenizer, its chat template, and user text kept from control tokens."""
    most_tokens: int
    """The longest sequence that the model reads."""
    lane: Lane[Question, Told]
    """Questions of all requests and kinds, which one pass reads together."""
    _model: Any
    _decoder: Decoder

    def __init__(self, reference: str, **options: Any) -> None:
        super().__init__(reference, **options)
        self._passed: dict[str, ModelLoadError | None] = {}
        self._instructions: dict[tuple[int, ...], Memory] = {}

    def _load(self) -> None:
        from transformers import AutoTokenizer

        from cascade.rerank.listwise.decoder import decoder_of, load_causal

        hide_loading_bars()
        source = resolve_model(self.reference)
        self.chat = Chat(AutoTokenizer.from_pretrained(source))
        self._model = load_causal(source, pick_device(self.device), self.wanted_backend)
        self._decoder = decoder_of(self._model.get_decoder(), self.wanted_backend, threads=self.threads)
        self.backend = self._decoder.backend
        self.most_tokens = int(self._model.config.max_position_embeddings)
        self.lane = Lane(self._tell, self.step_tokens(self.most_tokens))

    def ensure_passes(self, test: str, run: Callable[[], str]) -> None:
        """Run the self-test named `test` unless it ran before; `run` returns what is wrong, or nothing.

        In the thread that holds the model. Raises ModelLoadError, the same one again until `forget_problem`.
        """
        if test not in self._passed:
            problem = run()
            self.cost.forget()  # as after loading: its batches are no measure
            self._passed[test] = ModelLoadError(self.reference, f"kind {test}: {problem}") if problem else None
        if (error := self._passed[test]) is not None:
            raise error.with_traceback(None)  # which would grow with every raise, and keep its frames

    @property
    def status(self) -> ModelStatus:
        """Not ready when a kind's self-test failed, too: a cascade names that kind, and cannot run it."""
        found = super().status
        failed = next((error for error in self._passed.values() if error is not None), None)
        if found.ready and failed is not None:
            return ModelStatus(self.reference, self.kind, False, str(failed))
        return found

    def forget_problem(self) -> None:
        """Failed self-tests run again, too."""
        super().forget_problem()
        self._passed = {test: error for test, error in self._passed.items() if error is None}

    def instructions(self, ids: Sequence[int]) -> Memory:
        """What prompts of one kind begin with, before any user's text: read once, in this thread."""
        from cascade.rerank.listwise.span import Span

        key = tuple(ids)
        if key not in self._instructions:
            memory = Memory()
            if ids:
                self._tell([Question(Span(ids, (), keep=memory), ())])
            self._instructions[key] = memory
        return self._instructions[key]

    def next_token_logits(self, prompts: Sequence[Sequence[int]], token_ids: Sequence[int]) -> Logits:
        """Logits (prompts, token_ids) of the token after each prompt, in this thread and packed without padding."""
        from cascade.rerank.listwise.span import Span

        def work() -> Stepwise[list[Told]]:
            rows = [Question(Span(ids, (len(ids) - 1,)), token_ids) for ids in prompts]
            told: Rows[Question, Told] = Rows(self.lane, rows, [len(ids) for ids in prompts])
            yield told
            return told.results

        rows = [one.logits for one in run_through(work())]
        return np.stack(rows) if rows else np.empty((0, len(token_ids)), dtype=np.float32)

    def generate(
        self,
        prompt: Sequence[int],
        *,
        max_new_tokens: int,
        allowed: Allowed | None = None,
        end: Sequence[int] = (),
        fronts: Fronts | None = None,
        front: int = 0,
        plain: bool = False,
    ) -> Stepwise[Written]:
        """The most likely next ids one by one; ends before an id of `end` or the model's own end.

        `allowed` narrows every choice. What leaves none is written without asking, and read with what comes next. Of
        the prompt, what `fronts` hold is not read again; they hold its first `front` tokens afterwards. Unless `plain`,
        which asks for every token, as is common.
        """
        memory = Memory()
        before, held = (None, 0) if fronts is None or plain else fronts.longest(prompt)
        ends = {*end, *self.chat.end_ids}
        unread = list(prompt[held:])
        ids: list[int] = []
        seconds = 0.0
        while len(ids) < max_new_tokens:
            choices = None if allowed is None else allowed(ids)
            if choices is not None and not len(choices):
                break
            if choices is not None and len(choices) == 1 and not plain:
                picked = int(choices[0])
            else:
                # A long prompt is read in parts, so that others have their turns.
                while unread:
                    part, unread = unread[: self.lane.most_tokens], unread[self.lane.most_tokens :]
                    told = yield from self._ask(part, () if unread else choices, before, held, memory)
                    seconds += told.seconds
                    before, held = memory, len(memory)
                best = int(told.logits.argmax())
                picked = best if choices is None else int(choices[best])
            if picked in ends:
                break
            ids.append(picked)
            unread.append(picked)
        if fronts is not None and len(memory):
            fronts.add(memory, min(front, len(memory)))
        return Written(ids, seconds)

    def _ask(
        self, ids: Sequence[int], choices: Sequence[int] | None, before: Memory | None, held: int, keep: Memory
    ) -> Stepwise[Told]:
        from cascade.rerank.listwise.span import Span

        wanted = (len(ids) - 1,) if choices is None or len(choices) else ()
        rows: Rows[Question, Told] = Rows(
            self.lane, [Question(Span(ids, wanted, before, held, keep), choices)], [len(ids)]
        )
        yield rows
        told: Told = rows.results[0]
        return told

    def _tell(self, questions: Sequence[Question]) -> list[Told]:
        import torch

        start = time.perf_counter()
        with torch.inference_mode():
            states = self._decoder.read([one.span for one in questions])
            logits = [self._logits(s, one.choices).cpu().numpy() for s, one in zip(states, questions, strict=True)]
        seconds = time.perf_counter() - start
        lengths = [len(one.span.ids) for one in questions]
        tokens = sum(lengths)
        if tokens > _SHORT * len(lengths):
            self.observe_batch(len(lengths), tokens, seconds)
        elif self._on_batch is not None:
            self._on_batch(self.reference, len(lengths), tokens)
        return [Told(one, seconds * length / tokens) for one, length in zip(logits, lengths, strict=True)]

    def _logits(self, states: torch.Tensor, choices: Sequence[int] | None) -> torch.Tensor:
        """float32 [choices or the vocabulary] of states [1, hidden_size]; a model's own soft cap would not change an
        order.

        Those of some choices are computed in float32: bfloat16 rounds logits near 20 to eighths, and identifiers differ
        by less.
        """
        import torch

        head = self._model.get_output_embeddings()
        if choices is None:
            whole: torch.Tensor = head(states)[0].float()
            return whole
        if not len(choices):
            return states.new_empty(0, dtype=torch.float32)
        chosen = torch.as_tensor(choices, device=head.weight.device)
        logits: torch.Tensor = (states.float() @ head.weight[chosen].float().T)[0]
        return logits if getattr(head, "bias", None) is None else logits + head.bias[chosen].float()

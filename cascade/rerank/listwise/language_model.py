"""A causal language model that several listwise kinds share: what it would say next, and what it says."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cascade.errors import ModelLoadError
from cascade.inference.batches import consecutive
from cascade.inference.cost import CostEstimate
from cascade.inference.device import hide_loading_bars, pick_device
from cascade.inference.model import ModelStatus, ServedModel
from cascade.inference.stepwise import Stepwise
from cascade.rerank.listwise.chat import Chat
from cascade.weights import resolve_model

if TYPE_CHECKING:
    import torch

Logits = npt.NDArray[np.float32]
Allowed = Callable[[Sequence[int]], Sequence[int]]
"""Given the ids generated so far, those that may come next; none ends the generation."""


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
    step_cost: CostEstimate
    """Seconds for each token that is generated, many times what reading one takes."""
    _model: Any

    def __init__(self, reference: str, **options: Any) -> None:
        super().__init__(reference, **options)
        self.step_cost = CostEstimate()
        self._passed: dict[str, ModelLoadError | None] = {}

    def _load(self) -> None:
        from transformers import AutoTokenizer

        from cascade.rerank.listwise.packed import load_causal

        hide_loading_bars()
        source = resolve_model(self.reference)
        self.chat = Chat(AutoTokenizer.from_pretrained(source))
        self._model = load_causal(source, pick_device(self.device))
        self.most_tokens = int(self._model.config.max_position_embeddings)

    def ensure_passes(self, test: str, run: Callable[[], str]) -> None:
        """Run the self-test named `test` unless it ran before; `run` returns what is wrong, or nothing.

        In the thread that holds the model. Raises ModelLoadError, the same one again until `forget_problem`.
        """
        if test not in self._passed:
            problem = run()
            self.cost.forget()  # as after loading: its batches are no measure
            self.step_cost.forget()
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

    def next_token_logits(
        self, prompts: Sequence[Sequence[int]], token_ids: Sequence[int], *, max_batch_tokens: int = 2048
    ) -> Logits:
        """Logits (prompts, token_ids) of the token after each prompt, in this thread and packed without padding."""
        import torch

        wanted = torch.tensor(token_ids)
        rows: list[Logits] = []
        for part in consecutive([len(ids) for ids in prompts], max_batch_tokens):
            start = time.perf_counter()
            together = [prompts[i] for i in part]
            ends = np.cumsum([len(ids) for ids in together]) - 1
            with torch.inference_mode():
                logits = self._logits(self._hidden(together)[torch.from_numpy(ends)], wanted)
            rows.extend(logits.cpu().numpy())
            self.observe_batch(len(part), sum(map(len, together)), time.perf_counter() - start)
        return np.stack(rows) if rows else np.empty((0, len(token_ids)), dtype=np.float32)

    def log_probabilities(
        self,
        prompts: Sequence[Sequence[int]],
        continuation: Sequence[int],
        *,
        max_batch_tokens: int = 2048,
    ) -> Logits:
        """Natural-log probabilities (prompts, continuation), each token's given its prompt and those before it.

        In this thread and packed without padding.
        """
        import torch

        sequences = [[*ids, *continuation] for ids in prompts]
        count = len(continuation)
        targets = torch.tensor(continuation)
        rows: list[Logits] = []
        for part in consecutive([len(ids) for ids in sequences], max_batch_tokens):
            start = time.perf_counter()
            together = [sequences[i] for i in part]
            ends = np.cumsum([len(ids) for ids in together])
            # The state before a token predicts it; the vocabulary's logits are needed nowhere else.
            before = np.concatenate([np.arange(end - count, end) - 1 for end in ends])
            with torch.inference_mode():
                logits = self._logits(self._hidden(together)[torch.from_numpy(before)])
                chosen = logits.gather(1, targets.to(logits.device).repeat(len(part)).unsqueeze(1)).squeeze(1)
                found = (chosen - logits.logsumexp(dim=1)).reshape(len(part), count)
            rows.extend(found.cpu().numpy())
            self.observe_batch(len(part), sum(map(len, together)), time.perf_counter() - start)
        return np.stack(rows) if rows else np.empty((0, count), dtype=np.float32)

    def generate(
        self,
        prompt: Sequence[int],
        *,
        max_new_tokens: int,
        allowed: Allowed | None = None,
        end: Sequence[int] = (),
    ) -> Stepwise[list[int]]:
        """The most likely next ids one by one, without `prompt`; ends before an id of `end` or the model's own end.

        In this thread, with a key-value cache, a token a step; `allowed` narrows every choice.
        """
        import torch
        from transformers import DynamicCache

        cache: Any = DynamicCache()
        device = self._model.device
        ends = {*end, *self.chat.end_ids}
        step = list(prompt)
        generated: list[int] = []
        while len(generated) < max_new_tokens:
            choices = None if allowed is None else allowed(generated)
            if choices is not None and not len(choices):
                break
            yield len(step)
            start = time.perf_counter()
            with torch.inference_mode():
                # A step after the first is one token long, which sees all before it: no mask is needed for either.
                states = self._model.get_decoder()(
                    input_ids=torch.tensor([step], device=device), past_key_values=cache, use_cache=True
                ).last_hidden_state
                logits = self._logits(states[0, -1:], None if choices is None else torch.tensor(choices))[0]
            if generated:
                self.step_cost.observe(1, time.perf_counter() - start)
            else:
                self.observe_batch(1, len(step), time.perf_counter() - start)
            picked = int(logits.argmax()) if choices is None else int(choices[int(logits.argmax())])
            if picked in ends:
                break
            generated.append(picked)
            step = [picked]
        if generated and self._on_batch is not None:
            self._on_batch(self.reference, 1, len(generated))
        return generated

    def _hidden(self, sequences: Sequence[Sequence[int]]) -> torch.Tensor:
        from cascade.rerank.listwise.packed import packed_hidden

        return packed_hidden(self._model.get_decoder(), sequences)

    def _logits(self, states: torch.Tensor, wanted: torch.Tensor | None = None) -> torch.Tensor:
        """float32 [rows, wanted or the vocabulary]; a model's own soft cap on logits would not change an order.

        Those of `wanted` are computed in float32: bfloat16 rounds logits near 20 to eighths, and identifiers differ by
        less.
        """
        head = self._model.get_output_embeddings()
        if wanted is None:
            whole: torch.Tensor = head(states).float()
            return whole
        chosen = wanted.to(head.weight.device)
        logits: torch.Tensor = states.float() @ head.weight[chosen].float().T
        return logits if getattr(head, "bias", None) is None else logits + head.bias[chosen].float()

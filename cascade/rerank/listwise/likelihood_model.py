"""The likelihood model: how probable a language model finds the query after reading a passage."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade.errors import ModelLoadError
from cascade.inference.batches import consecutive
from cascade.inference.device import hide_loading_bars, pick_device
from cascade.inference.model import ServedModel
from cascade.inference.scored import PROBE, PROBE_ANSWER, PROBE_OTHER, Scored
from cascade.inference.stepwise import Stepwise, run_through
from cascade.rerank.listwise.control import ControlTokens, cut
from cascade.rerank.listwise.prompt import load_prompt
from cascade.weights import resolve_model

if TYPE_CHECKING:
    import torch

PROMPT = "likelihood-v1"
_QUERY_SHARE = 0.25


class LikelihoodModel(ServedModel):
    """Any causal language model, untrained (Sachan et al., 2022, "Improving passage retrieval with zero-shot question
    generation"). A pass holds one request, and what a passage scores does not depend on what else is in the pass."""

    kind = "likelihood"
    most_step_tokens = 1024
    _model: Any
    _control: ControlTokens
    _most_tokens: int

    def _load(self) -> None:
        from transformers import AutoTokenizer

        from cascade.rerank.listwise.packed import load_causal

        hide_loading_bars()
        source = resolve_model(self.reference)
        self._control = ControlTokens(AutoTokenizer.from_pretrained(source))
        self._model = load_causal(source, pick_device(self.device))
        self._most_tokens = int(self._model.config.max_position_embeddings)
        self._before_passage, self._before_query = likelihood_prompt(self._control, load_prompt(PROMPT))
        self._self_test()

    def score(self, query: str, passages: Sequence[str], *, max_doc_tokens: int, max_batch_tokens: int) -> Scored:
        """Mean natural-log probabilities of the query's tokens, below 0, in this thread."""
        return run_through(
            self.scoring(query, passages, max_doc_tokens=max_doc_tokens, max_batch_tokens=max_batch_tokens)
        )

    def scoring(
        self, query: str, passages: Sequence[str], *, max_doc_tokens: int, max_batch_tokens: int
    ) -> Stepwise[Scored]:
        """As `score`, a pass a step. A query longer than a quarter of `max_batch_tokens` is cut."""
        most = min(max_batch_tokens, self._most_tokens)
        query_ids = cut(self._control.encode(query), int(most * _QUERY_SHARE))
        if not query_ids or not passages:
            return Scored((0.0,) * len(passages), 0, self._unread(passages))
        longest = min(max_doc_tokens, most - len(self._before_passage) - len(self._before_query) - len(query_ids))
        sequences, seen = [], []
        for text in passages:
            whole = self._control.encode(text)
            kept = cut(whole, longest)
            sequences.append([*self._before_passage, *kept, *self._before_query, *query_ids])
            seen.append((len(kept), len(whole)))
        scores: list[float] = []
        for part in consecutive([len(s) for s in sequences], self.step_tokens(max_batch_tokens)):
            together = [sequences[i] for i in part]
            yield sum(map(len, together))
            scores.extend(self._read(together, len(query_ids)))
        return Scored(tuple(scores), sum(map(len, sequences)), tuple(seen))

    def _unread(self, passages: Sequence[str]) -> tuple[tuple[int, int], ...]:
        totals = [len(self._control.encode(text)) for text in passages]
        return tuple((0, total) for total in totals)

    def _read(self, sequences: Sequence[Sequence[int]], query_tokens: int) -> list[float]:
        import torch

        start = time.perf_counter()
        with torch.inference_mode():
            scores = [float(s) for s in self._log_probabilities(sequences, query_tokens)]
        tokens = sum(map(len, sequences))
        self.observe_batch(len(sequences), tokens, time.perf_counter() - start)
        return scores

    def _log_probabilities(self, sequences: Sequence[Sequence[int]], query_tokens: int) -> torch.Tensor:
        import torch

        from cascade.rerank.listwise.packed import packed_hidden

        states = packed_hidden(self._model.get_decoder(), sequences)
        ends = np.cumsum([len(s) for s in sequences])
        # The state before a token predicts it; the vocabulary's logits are needed nowhere else.
        rows = torch.tensor(np.concatenate([np.arange(end - query_tokens, end) - 1 for end in ends]))
        targets = torch.tensor([s[-query_tokens:] for s in sequences], device=states.device)
        logits: torch.Tensor = self._model.get_output_embeddings()(states[rows.to(states.device)]).float()
        chosen = logits.gather(1, targets.reshape(-1, 1)).squeeze(1) - logits.logsumexp(dim=1)
        return chosen.reshape(len(sequences), query_tokens).mean(dim=1)

    def _self_test(self) -> None:
        scores = self.score(PROBE, (PROBE_OTHER, PROBE_ANSWER), max_doc_tokens=64, max_batch_tokens=512).scores
        if not np.isfinite(scores).all() or scores[1] <= scores[0]:
            raise ModelLoadError(
                self.reference,
                f"its self-test scored an answer {scores[1]:.4f} and an unrelated passage {scores[0]:.4f}, expected "
                "the answer above; choose a language model that was trained",
            )


def likelihood_prompt(control: ControlTokens, text: str) -> tuple[list[int], list[int]]:
    """The token ids before the passage, and between it and the query, which stands last."""
    if text.count("{passage}") != 1 or not text.endswith("{query}") or text.count("{query}") != 1:
        raise ValueError(f"a likelihood prompt has {{passage}} once and ends in its one {{query}}: {text!r}")
    before, between = text.removesuffix("{query}").split("{passage}")
    return control.encode_template(before), control.encode_template(between)

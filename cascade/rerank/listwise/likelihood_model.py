"""The likelihood model: how probable a language model finds the query after reading a passage."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade.errors import ModelLoadError
from cascade.inference.device import hide_loading_bars, pick_device
from cascade.inference.model import ServedModel
from cascade.inference.rows import Lane, Rows
from cascade.inference.scored import PROBE, PROBE_ANSWER, PROBE_OTHER, Scored
from cascade.inference.stepwise import Stepwise, run_through
from cascade.rerank.listwise.control import ControlTokens, cut
from cascade.rerank.listwise.prompt import load_prompt
from cascade.weights import resolve_model

if TYPE_CHECKING:
    import torch

    from cascade.rerank.listwise.decoder import Decoder
    from cascade.rerank.listwise.span import Span

PROMPT = "likelihood-v1"
_QUERY_SHARE = 0.25
_VOCABULARY_ROWS = 64
"""Tokens whose logits of the whole vocabulary are held at a time."""


@dataclass(frozen=True, eq=False, slots=True)
class Asked:
    """A passage and all of the query but its last token; the wanted states are those before each of its tokens."""

    span: Span
    query_ids: Sequence[int]


class LikelihoodModel(ServedModel):
    """Any causal language model, untrained (Sachan et al., 2022, "Improving passage retrieval with zero-shot question
    generation").

    Passages of several requests share a pass, and what a passage scores does not depend on what else is in it."""

    kind = "likelihood"
    most_step_tokens = 1024
    _model: Any
    _decoder: Decoder
    _lanes: dict[int, Lane[Asked, float]]
    _control: ControlTokens
    _most_tokens: int

    def _load(self) -> None:
        from transformers import AutoTokenizer

        from cascade.rerank.listwise.decoder import decoder_of, load_causal

        hide_loading_bars()
        source = resolve_model(self.reference)
        self._control = ControlTokens(AutoTokenizer.from_pretrained(source))
        self._model = load_causal(source, pick_device(self.device), self.wanted_backend)
        self._decoder = decoder_of(self._model.get_decoder(), self.wanted_backend, threads=self.threads)
        self.backend = self._decoder.backend
        self._lanes = {}
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
        """As `score`, in passes that other requests' passages may share. A query longer than a quarter of
        `max_batch_tokens` is cut."""
        from cascade.rerank.listwise.span import Span

        most = min(max_batch_tokens, self._most_tokens)
        query_ids = cut(self._control.encode_behind_space(query), int(most * _QUERY_SHARE))
        if not query_ids or not passages:
            return Scored((0.0,) * len(passages), 0, self._unread(passages))
        longest = min(max_doc_tokens, most - len(self._before_passage) - len(self._before_query) - len(query_ids))
        # The state before a token predicts it: the last one need not be read.
        after = [*self._before_query, *query_ids[:-1]]
        rows, seen = [], []
        for text in passages:
            whole = self._control.encode_behind_space(text)
            kept = cut(whole, longest)
            ids = [*self._before_passage, *kept, *after]
            rows.append(Asked(Span(ids, range(len(ids) - len(query_ids), len(ids))), query_ids))
            seen.append((len(kept), len(whole)))
        lengths = [len(one.span.ids) for one in rows]
        asked: Rows[Asked, float] = Rows(self._lane_of(max_batch_tokens), rows, lengths)
        yield asked
        return Scored(tuple(asked.results), sum(lengths), tuple(seen))

    def _lane_of(self, max_batch_tokens: int) -> Lane[Asked, float]:
        most = self.step_tokens(max_batch_tokens)
        if most not in self._lanes:
            self._lanes[most] = Lane(self._read, most)
        return self._lanes[most]

    def _unread(self, passages: Sequence[str]) -> tuple[tuple[int, int], ...]:
        totals = [len(self._control.encode_behind_space(text)) for text in passages]
        return tuple((0, total) for total in totals)

    def _read(self, asked: Sequence[Asked]) -> list[float]:
        import torch

        start = time.perf_counter()
        with torch.inference_mode():
            states = torch.cat(self._decoder.read([one.span for one in asked]))
            targets = torch.tensor([i for one in asked for i in one.query_ids], device=states.device)
            found = self._log_probabilities(states, targets)
            scores = [float(part.mean()) for part in torch.split(found, [len(one.query_ids) for one in asked])]
        self.observe_batch(len(asked), sum(len(one.span.ids) for one in asked), time.perf_counter() - start)
        return scores

    def _log_probabilities(self, states: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """float32 [rows], of each target given the state before it; logits of the vocabulary, a few rows at a time."""
        import torch

        head = self._model.get_output_embeddings()
        found = []
        for part, wanted in zip(*(torch.split(rows, _VOCABULARY_ROWS) for rows in (states, targets)), strict=True):
            logits = head(part).float()
            found.append(logits.gather(1, wanted.unsqueeze(1)).squeeze(1) - logits.logsumexp(dim=1))
        return torch.cat(found)

    def _self_test(self) -> None:
        scores = self.score(PROBE, (PROBE_OTHER, PROBE_ANSWER), max_doc_tokens=64, max_batch_tokens=512).scores
        if not np.isfinite(scores).all() or scores[1] <= scores[0]:
            raise ModelLoadError(
                self.reference,
                f"its self-test scored an answer {scores[1]:.4f} and an unrelated passage {scores[0]:.4f}, expected "
                "the answer above; choose a language model that was trained",
            )


def likelihood_prompt(control: ControlTokens, text: str) -> tuple[list[int], list[int]]:
    """The token ids before the passage, and between it and the query, which stands last; without the space before
    either, which is read with them."""
    before, between = likelihood_parts(text)
    return control.encode_template(before.removesuffix(" ")), control.encode_template(between.removesuffix(" "))


def likelihood_parts(text: str) -> tuple[str, str]:
    """What a prompt says before the passage, and between it and the query. Raises ValueError for another order."""
    if text.count("{passage}") != 1 or not text.endswith("{query}") or text.count("{query}") != 1:
        raise ValueError(f"a likelihood prompt has {{passage}} once and ends in its one {{query}}: {text!r}")
    if " {passage}" not in text or " {query}" not in text:
        raise ValueError(f"in a likelihood prompt {{passage}} and {{query}} stand behind a space: {text!r}")
    before, between = text.removesuffix("{query}").split("{passage}")
    return before, between

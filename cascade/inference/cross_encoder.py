"""The cross-encoder: query and document read together, in batches by token budget."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog

from cascade.errors import ModelLoadError
from cascade.inference.batches import by_token_budget
from cascade.inference.device import hide_loading_bars, pick_device, pick_dtype
from cascade.inference.model import ServedModel
from cascade.inference.scored import PROBE, PROBE_ANSWER, PROBE_OTHER, Scored
from cascade.inference.stepwise import Stepwise, run_through
from cascade.inference.truncation import shares
from cascade.weights import resolve_model

if TYPE_CHECKING:
    import torch
    from sentence_transformers import CrossEncoder

log = structlog.get_logger()


class CrossEncoderModel(ServedModel):
    """A pair encoder, or any sentence-transformers CrossEncoder with one output.

    Where the device multiplies bfloat16 in hardware, a pair encoder's matrices are multiplied in it, which takes half
    the time. Other models stay in float32: their last layer's scores would be rounded, and many would tie.
    """

    kind = "cross_encoder"
    _model: CrossEncoder
    _dtype: torch.dtype
    _special_tokens: int
    _most_tokens: int

    def _load(self) -> None:
        import torch

        from cascade.inference.pair_encoder import PairEncoder, load_cross_encoder, special_tokens

        hide_loading_bars()
        device = pick_device(self.device)
        self._model = load_cross_encoder(resolve_model(self.reference), device=device)
        self._dtype = pick_dtype(device) if isinstance(self._model[0], PairEncoder) else torch.float32
        self._special_tokens = special_tokens(self._model)
        # Of the two limits a model may declare, its tokenizer's is often missing and its positions' a little too large.
        limits = self._model.max_seq_length, getattr(self._model.config, "max_position_embeddings", None)
        self._most_tokens = min(limit for limit in (*limits, sys.maxsize) if limit)
        labels = self._model.num_labels
        if labels != 1:
            raise ModelLoadError(
                self.reference,
                f"it has {labels} outputs, expected 1: a relevance score; choose a reranking model",
            )
        answer, other = self.score_pairs(
            PROBE, [PROBE_ANSWER, PROBE_OTHER], max_length=128, max_batch_tokens=512
        ).scores
        if not np.isfinite([answer, other]).all():
            raise ModelLoadError(
                self.reference, f"its self-test gave the scores {answer} and {other}, expected finite numbers"
            )
        if answer <= other:
            log.warning("model_self_test_misordered", model=self.reference, answer=answer, other=other)

    def score_pairs(self, query: str, passages: Sequence[str], *, max_length: int, max_batch_tokens: int) -> Scored:
        """Score every passage, in this thread, reading `max_length` tokens of a pair or the most that the model can."""
        steps = self.scoring_pairs(query, passages, max_length=max_length, max_batch_tokens=max_batch_tokens)
        return run_through(steps)

    def scoring_pairs(
        self, query: str, passages: Sequence[str], *, max_length: int, max_batch_tokens: int
    ) -> Stepwise[Scored]:
        """As `score_pairs`, a batch a step."""
        import torch

        max_length = min(max_length, self._most_tokens)
        tokenizer: Any = self._model.tokenizer
        words = tokenizer([query, *passages], add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
        room = max_length - self._special_tokens
        kept = [shares(len(words[0]), len(passage), room) for passage in words[1:]]
        seen = [(read, len(passage)) for (_, read), passage in zip(kept, words[1:], strict=True)]
        lengths = [asked + read + self._special_tokens for asked, read in kept]
        scores = np.empty(len(passages), dtype=np.float64)
        reduced = self._dtype is not torch.float32
        for batch in by_token_budget(lengths, self.step_tokens(max_batch_tokens)):
            tokens = sum(lengths[i] for i in batch)
            yield tokens
            self._model.max_seq_length = max_length
            start = time.perf_counter()
            pairs = [(query, passages[i]) for i in batch]
            with torch.autocast(self._model.device.type, self._dtype, enabled=reduced):
                scores[batch] = self._model.predict(pairs, batch_size=len(batch), show_progress_bar=False)
            self.observe_batch(len(batch), tokens, time.perf_counter() - start)
        return Scored(tuple(float(s) for s in scores), sum(lengths), tuple(seen))

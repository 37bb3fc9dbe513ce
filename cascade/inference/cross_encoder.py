"""The cross-encoder: query and document read together, in batches by token budget."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog

from cascade.errors import ModelLoadError
from cascade.inference.batcher import AbandonedError, Stop
from cascade.inference.batches import by_token_budget
from cascade.inference.device import hide_loading_bars, pick_device
from cascade.inference.model import ServedModel
from cascade.inference.scored import PROBE, PROBE_ANSWER, PROBE_OTHER, Scored
from cascade.weights import resolve_model

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

log = structlog.get_logger()


class CrossEncoderModel(ServedModel):
    """Any sentence-transformers CrossEncoder with one output."""

    kind = "cross_encoder"
    _model: CrossEncoder
    _most_tokens: int

    def _load(self) -> None:
        from sentence_transformers import CrossEncoder

        hide_loading_bars()
        self._model = CrossEncoder(resolve_model(self.reference), device=pick_device(self.device))
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

    def score_pairs(
        self,
        query: str,
        passages: Sequence[str],
        *,
        max_length: int,
        max_batch_tokens: int,
        stop: Stop = lambda: False,
    ) -> Scored:
        """Score every passage, in this thread, reading `max_length` tokens of a pair or the most that the model can.

        Raises AbandonedError when `stop` says so between two batches.
        """
        max_length = min(max_length, self._most_tokens)
        self._model.max_seq_length = max_length
        tokenizer: Any = self._model.tokenizer
        words = tokenizer([query, *passages], add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
        room = max_length - tokenizer.num_special_tokens_to_add(pair=True)
        asked = len(words[0])
        seen = [(_kept(asked, len(w), room), len(w)) for w in words[1:]]
        lengths = [max_length - room + min(asked + kept, room) for kept, _ in seen]
        scores = np.empty(len(passages), dtype=np.float64)
        for batch in by_token_budget(lengths, max_batch_tokens):
            if stop():
                raise AbandonedError
            start = time.perf_counter()
            scores[batch] = self._model.predict(
                [(query, passages[i]) for i in batch], batch_size=len(batch), show_progress_bar=False
            )
            self.observe_batch(len(batch), sum(lengths[i] for i in batch), time.perf_counter() - start)
        return Scored(tuple(float(s) for s in scores), sum(lengths), tuple(seen))


def _kept(query: int, document: int, room: int) -> int:
    """Tokens of the document that stay when the longer of the two is cut first, as the tokenizer does.

    The tokenizer gives the odd token to the longer one, and to the document when both are equally long.
    """
    if query + document <= room:
        return document
    half = room // 2
    if query <= half:
        return room - query
    if document <= half:
        return document
    return half if query > document else room - half

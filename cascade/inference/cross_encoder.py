"""The cross-encoder: query and document read together, in batches by token budget."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog

from cascade.errors import ModelLoadError
from cascade.inference.device import hide_loading_bars, pick_device
from cascade.inference.library_pairs import LibraryPairs
from cascade.inference.model import ServedModel
from cascade.inference.reading import Reading
from cascade.inference.rows import Rows
from cascade.inference.scored import PROBE, PROBE_ANSWER, PROBE_OTHER, Scored
from cascade.inference.stepwise import Stepwise, run_through
from cascade.inference.tokenised import TokenisedText, Tokeniser
from cascade.inference.towers.strip import Tokens
from cascade.inference.truncation import shares
from cascade.weights import resolve_model

if TYPE_CHECKING:
    from cascade.inference.pair_heads import PairHead

log = structlog.get_logger()

_LONGEST = 256
"""Tokens of the pairs that backends are timed with."""


class CrossEncoderModel(ServedModel):
    """A pair encoder, or any sentence-transformers CrossEncoder with one output.

    A pair encoder, and a model that classifies with layers like BERT's, is taken apart: its layers run on the backend
    that was asked for, its head in float32. Any other runs as its library runs it, in float32.
    """

    kind = "cross_encoder"
    _tokenise: Tokeniser
    _special_tokens: int
    _most_tokens: int
    _head: PairHead
    _reading: Reading[float]
    _library: LibraryPairs | None = None

    def _load(self) -> None:
        from cascade.inference.pair_encoder import load_cross_encoder, special_tokens
        from cascade.inference.pair_heads import taken_apart

        hide_loading_bars()
        folder = resolve_model(self.reference)
        model = load_cross_encoder(folder)
        labels = model.num_labels
        if labels != 1:
            raise ModelLoadError(
                self.reference,
                f"it has {labels} outputs, expected 1: a relevance score; choose a reranking model",
            )
        self._tokenise = Tokeniser(model.tokenizer)
        self._special_tokens = special_tokens(model)
        # Of the two limits a model may declare, its tokenizer's is often missing and its positions' a little too large.
        limits = model.max_seq_length, getattr(model.config, "max_position_embeddings", None)
        self._most_tokens = min(limit for limit in (*limits, sys.maxsize) if limit)
        parts = taken_apart(model)
        if parts is None:
            self.run_as_library()
            self._library = LibraryPairs(model.to(pick_device(self.device)), self.observe_batch)
        else:
            backbone, self._head = parts
            self._tokeniser = self._tokenise
            if backbone.bert is not None:
                self._most_tokens = min(self._most_tokens, len(backbone.bert.positions))
            tower = self.make_tower(backbone, model, folder, self._read)
            self._reading = Reading(tower, self._head.scores, self.observe_batch, same_bits=self.deterministic)
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
        query: str | TokenisedText,
        passages: Sequence[str | TokenisedText],
        *,
        max_length: int,
        max_batch_tokens: int,
    ) -> Scored:
        """Score every passage, in this thread, reading `max_length` tokens of a pair or the most that the model can."""
        steps = self.scoring_pairs(query, passages, max_length=max_length, max_batch_tokens=max_batch_tokens)
        return run_through(steps)

    def scoring_pairs(
        self,
        query: str | TokenisedText,
        passages: Sequence[str | TokenisedText],
        *,
        max_length: int,
        max_batch_tokens: int,
    ) -> Stepwise[Scored]:
        """As `score_pairs`, in batches that others share.

        Texts may be token ids of `tokeniser`, where that is not None.
        """
        max_length = min(max_length, self._most_tokens)
        room = max_length - self._special_tokens
        asked, *read = self._tokenised([query, *passages])
        kept = [shares(asked.total, passage.total, room) for passage in read]
        lengths = [first + second + self._special_tokens for first, second in kept]
        most = self.step_tokens(max_batch_tokens)
        rows: Rows[Any, Any]
        if self._library is not None:
            texts = [(query, passage, length) for passage, length in zip(passages, lengths, strict=True)]
            rows = Rows(self._library.lane(max_length, 1 if self.deterministic else most), texts, lengths)
        else:
            pairs = [
                self._head.tokens(asked.ids[:first], passage.ids[:second])
                for passage, (first, second) in zip(read, kept, strict=True)
            ]
            rows = Rows(self._reading.lane(most), pairs, lengths)
        if passages:
            yield rows
        seen = tuple((second, passage.total) for passage, (_, second) in zip(read, kept, strict=True))
        return Scored(tuple(rows.results), sum(lengths), seen)

    def _read(self, query: str, passage: str) -> Sequence[Tokens]:
        first, second = self._tokenise([query, passage])
        asked, read = shares(first.total, second.total, min(self._most_tokens, _LONGEST) - self._special_tokens)
        return [self._head.tokens(first.ids[:asked], second.ids[:read])]

    def _tokenised(self, texts: Sequence[str | TokenisedText]) -> list[TokenisedText]:
        made = iter(self._tokenise([text for text in texts if isinstance(text, str)]))
        return [next(made) if isinstance(text, str) else text for text in texts]

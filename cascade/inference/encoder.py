"""The bi-encoder: query and document to unit vectors, apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from cascade.budget import Budget
from cascade.errors import ModelLoadError
from cascade.inference.cost import approximate_tokens
from cascade.inference.device import hide_loading_bars, pick_device
from cascade.inference.library_texts import LibraryTexts
from cascade.inference.model import ServedModel
from cascade.inference.reading import Reading
from cascade.inference.rows import Rows
from cascade.inference.stepwise import Stepwise, run_through
from cascade.inference.template import Template
from cascade.inference.tokenised import Tokeniser
from cascade.inference.towers.strip import Tokens
from cascade.stages import Usage
from cascade.weights import resolve_model

Vectors = npt.NDArray[np.float32]
Seen = tuple[int, int]
"""Of a text the tokens seen and those it has."""

_BATCH_TOKENS = 4096
_LONGEST = 512
"""Tokens that the work on a text is thought to take at most, before the model is there to be asked."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Vectors (n, dimensions) of unit length, seconds waited, and for each passage the tokens seen and those it has."""

    vectors: Vectors
    queue_time: float
    seen: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class _Prompt:
    """What is put before a text, and how many tokens that is."""

    text: str
    tokens: int


class Encoder(ServedModel):
    """A sentence-transformers model; prompts that it names for queries and documents are applied.

    One that pools the states of a transformer is taken apart: its layers run on the backend that was asked for, what is
    put on them in float32. Any other runs as its library runs it.
    """

    kind = "bi_encoder"
    _dimensions: int
    _query_prompt: _Prompt
    _document_prompt: _Prompt
    _tokenise: Tokeniser
    _template: Template
    _most: int
    _reading: Reading[Vectors]
    _library: LibraryTexts | None = None

    def _load(self) -> None:
        from sentence_transformers import SentenceTransformer

        from cascade.inference.sentence_head import taken_apart
        from cascade.inference.text_encoder import DOCUMENT_PROMPTS, QUERY_PROMPTS, most_tokens, prompt_of

        hide_loading_bars()
        folder = resolve_model(self.reference)
        model = SentenceTransformer(folder, device="cpu")
        self._dimensions = cast("int", model.get_embedding_dimension())
        self._tokenise = self._tokeniser = Tokeniser(model.tokenizer)
        prompts = [
            prompt_of(model.prompts, model.default_prompt_name, names) for names in (QUERY_PROMPTS, DOCUMENT_PROMPTS)
        ]
        of_prompts = [made.total for made in self._tokenise(prompts)]
        self._query_prompt, self._document_prompt = map(_Prompt, prompts, of_prompts)
        parts = taken_apart(model)
        if parts is None:
            self.run_as_library()
            self._library = LibraryTexts(model.to(pick_device(self.device)), self.observe_batch)
            self._most = 2**31 if model.max_seq_length is None else int(model.max_seq_length)
        else:
            backbone, self._template, head = parts
            self._most = most_tokens(backbone, [model.max_seq_length])
            tower = self.make_tower(backbone, model, folder, self._read)
            self._reading = Reading(tower, head, self.observe_batch, same_bits=self.deterministic)
        vector = run_through(self._encoding(["self-test"], self._query_prompt, _BATCH_TOKENS))[0][0]
        if not np.isfinite(vector).all() or abs(float(np.linalg.norm(vector)) - 1) > 1e-3:
            raise ModelLoadError(
                self.reference,
                "its self-test gave a vector that is not finite and of unit length; check the weights",
            )

    @property
    def dimensions(self) -> int:
        """Components of a vector; loads the model."""
        self.ensure_loaded()
        return self._dimensions

    async def encode_query(self, text: str, *, budget: Budget) -> tuple[Vectors, Usage]:
        """A float32 vector (dimensions,) of unit length, which may be one that is remembered: nobody may change it."""
        memory = self.cache.of(budget.account.name)
        if (known := memory.query(text)) is not None:
            return known, Usage(cached=1, backend=self.backend)

        def work() -> Stepwise[tuple[Vectors, tuple[Seen, ...]]]:
            self.ensure_loaded()
            return (yield from self._encoding([text], self._query_prompt, self.step_tokens(_BATCH_TOKENS)))

        expected = approximate_tokens([text], most=_LONGEST)
        (vectors, seen), waited = await self.queue.run(work, budget=budget, tokens=expected)
        memory.keep_query(vectors[0], text)
        return vectors[0], Usage(queue_time=waited, tokens=seen[0][0], backend=self.backend)

    async def encode_passages(self, passages: Sequence[str], *, budget: Budget) -> Encoded:
        """Encode in the queue, in batches that others share, so that nothing runs that nobody waits for."""

        def work() -> Stepwise[tuple[Vectors, tuple[Seen, ...]]]:
            self.ensure_loaded()
            return (yield from self._encoding(passages, self._document_prompt, self.step_tokens(_BATCH_TOKENS)))

        expected = approximate_tokens(passages, most=_LONGEST)
        (vectors, seen), waited = await self.queue.run(work, budget=budget, tokens=expected)
        return Encoded(vectors, waited, seen)

    def encode_documents(self, passages: Sequence[str]) -> Vectors:
        """float32 vectors (n, dimensions) of unit length, in this thread, in large batches."""
        self.ensure_loaded()
        return run_through(self._encoding(passages, self._document_prompt, _BATCH_TOKENS))[0]

    def encode_queries(self, queries: Sequence[str]) -> Vectors:
        """As `encode_documents`, of queries."""
        self.ensure_loaded()
        return run_through(self._encoding(queries, self._query_prompt, _BATCH_TOKENS))[0]

    def _encoding(
        self, texts: Sequence[str], prompt: _Prompt, most_tokens: int
    ) -> Stepwise[tuple[Vectors, tuple[Seen, ...]]]:
        """The vectors (n, dimensions) of texts, and what was seen of each."""
        if not texts:
            return np.zeros((0, self._dimensions), dtype=np.float32), ()
        rows: Rows[Any, Vectors]
        if self._library is not None:
            beside = self._library.special_tokens + prompt.tokens
            totals = self._library.lengths(texts)
            lengths = [min(total + beside, self._most) for total in totals]
            lane = self._library.lane(prompt is self._query_prompt, 1 if self.deterministic else most_tokens)
            rows = Rows(lane, list(zip(texts, lengths, strict=True)), lengths)
        else:
            beside = self._template.size + prompt.tokens
            made = self._tokenise([prompt.text + text for text in texts] if prompt.text else texts)
            totals = [max(one.total - prompt.tokens, 0) for one in made]
            tokens = [self._template.tokens(one.ids[: self._most - self._template.size]) for one in made]
            rows = Rows(self._reading.lane(most_tokens), tokens, [one.length for one in tokens])
        yield rows
        room = max(self._most - beside, 0)
        seen = tuple((min(total, room), total) for total in totals)
        return np.stack(rows.results), seen

    def _read(self, query: str, passage: str) -> Sequence[Tokens]:
        """How backends are timed: both as documents."""
        most = min(self._most, _LONGEST) - self._template.size
        return [self._template.tokens(one.ids[:most]) for one in self._tokenise([query, passage])]

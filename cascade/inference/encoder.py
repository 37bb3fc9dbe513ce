"""The bi-encoder: query and document to unit vectors, apart."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from cascade.budget import Budget
from cascade.errors import ModelLoadError
from cascade.inference.batches import by_token_budget
from cascade.inference.cost import approximate_tokens
from cascade.inference.device import hide_loading_bars, pick_device
from cascade.inference.model import ServedModel
from cascade.inference.stepwise import Stepwise
from cascade.inference.tokenised import Tokeniser
from cascade.stages import Usage
from cascade.weights import resolve_model

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Vectors = npt.NDArray[np.float32]

_BATCH_TOKENS = 4096
_LONGEST = 512
"""Tokens that the work on a text is thought to take at most, before the model is there to be asked."""
_DOCUMENT_PROMPTS = ("document", "passage", "corpus")  # as the library looks for one


@dataclass(frozen=True, slots=True)
class Encoded:
    """Vectors (n, dimensions) of unit length, seconds waited, and for each passage the tokens seen and those it has."""

    vectors: Vectors
    queue_time: float
    seen: tuple[tuple[int, int], ...]


class Encoder(ServedModel):
    """A sentence-transformers model; prompts that it names for queries and documents are applied."""

    kind = "bi_encoder"
    _model: SentenceTransformer
    _counter: Any

    def _load(self) -> None:
        from sentence_transformers import SentenceTransformer

        hide_loading_bars()
        self._model = SentenceTransformer(resolve_model(self.reference), device=pick_device(self.device))
        # Counting goes by a copy: a tokenizer keeps whether it cuts and pads, and threads that encode share this one.
        self._counter = copy.deepcopy(self._model.tokenizer)
        self._tokeniser = Tokeniser(self._model.tokenizer)
        vector = self._encode_query("self-test")[0]
        if not np.isfinite(vector).all() or abs(float(np.linalg.norm(vector)) - 1) > 1e-3:
            raise ModelLoadError(
                self.reference,
                "its self-test gave a vector that is not finite and of unit length; check the weights",
            )

    @property
    def dimensions(self) -> int:
        """Components of a vector; loads the model."""
        self.ensure_loaded()
        return cast("int", self._model.get_embedding_dimension())

    async def encode_query(self, text: str, *, budget: Budget) -> tuple[Vectors, Usage]:
        """A float32 vector (dimensions,) of unit length, which may be one that is remembered: nobody may change it."""
        memory = self.cache.of(budget.account.name)
        if (known := memory.query(text)) is not None:
            return known, Usage(cached=1)

        def work() -> tuple[Vectors, int]:
            self.ensure_loaded()
            return self._encode_query(text)

        expected = approximate_tokens([text], most=_LONGEST)
        (vector, tokens), waited = await self.queue.run(work, budget=budget, tokens=expected)
        memory.keep_query(vector, text)
        return vector, Usage(queue_time=waited, tokens=tokens)

    async def encode_passages(self, passages: Sequence[str], *, budget: Budget) -> Encoded:
        """Encode in the queue, a batch a step, so that others get their turn and nothing runs that nobody waits for."""
        expected = approximate_tokens(passages, most=_LONGEST)
        (vectors, seen), waited = await self.queue.run(
            lambda: self._encoding_passages(passages), budget=budget, tokens=expected
        )
        return Encoded(vectors, waited, seen)

    def _encoding_passages(self, passages: Sequence[str]) -> Stepwise[tuple[Vectors, tuple[tuple[int, int], ...]]]:
        self.ensure_loaded()
        prompt = next((p for name in _DOCUMENT_PROMPTS if (p := self._model.prompts.get(name))), "")
        beside = self._lengths([prompt])[0]
        room = self._room - beside
        seen = [(min(length, room), length) for length in self._lengths(passages)]
        vectors = np.empty((len(passages), self.dimensions), dtype=np.float32)
        whole = [kept + beside + self._markers for kept, _ in seen]
        for rows in by_token_budget(whole, self.step_tokens(_BATCH_TOKENS)):
            tokens = sum(seen[row][0] for row in rows)
            yield tokens
            start = time.perf_counter()
            vectors[rows] = self.encode_documents([passages[row] for row in rows])
            self.observe_batch(len(rows), tokens, time.perf_counter() - start)
        return vectors, tuple(seen)

    def encode_documents(self, passages: Sequence[str]) -> Vectors:
        """float32 vectors (n, dimensions) of unit length, in this thread."""
        self.ensure_loaded()
        if not passages:
            return np.zeros((0, self.dimensions), dtype=np.float32)
        vectors = self._model.encode_document(
            list(passages),
            batch_size=32,
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=False,
        )
        return np.asarray(vectors, dtype=np.float32)

    def _encode_query(self, text: str) -> tuple[Vectors, int]:
        start = time.perf_counter()
        vectors: Any = self._model.encode_query(
            [text], normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
        )
        tokens = min(self._lengths([text])[0], self._room)
        self.observe_batch(1, tokens, time.perf_counter() - start)
        return np.asarray(vectors[0], dtype=np.float32), tokens

    def _lengths(self, texts: Sequence[str]) -> list[int]:
        if not texts:
            return []
        ids = self._counter(list(texts), add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
        return [len(one) for one in ids]

    @property
    def _room(self) -> int:
        """The most tokens of a text that a vector is made of."""
        most = self._model.max_seq_length
        return 2**31 if most is None else int(most) - self._markers

    @property
    def _markers(self) -> int:
        """How many special tokens a text has beside its own."""
        return int(self._counter.num_special_tokens_to_add(pair=False))

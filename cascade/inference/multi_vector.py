"""The multi-vector model: query and document apart, to one vector for each token, compared by MaxSim."""

from __future__ import annotations

import copy
import json
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import structlog

from cascade.errors import ModelLoadError
from cascade.inference.batches import by_token_budget
from cascade.inference.caches import Memory
from cascade.inference.device import hide_loading_bars, pick_device
from cascade.inference.maxsim import Vectors, maxsim
from cascade.inference.model import ServedModel
from cascade.inference.scored import PROBE, PROBE_ANSWER, PROBE_OTHER, Scored
from cascade.inference.stepwise import Stepwise, run_through
from cascade.inference.stored_vectors import quantised, restored
from cascade.stages import StoredVectors
from cascade.weights import resolve_model

if TYPE_CHECKING:
    from sentence_transformers import MultiVectorEncoder

log = structlog.get_logger()

DOC_TOKENS = 180
"""Tokens of a document that an index keeps vectors of, markers included, where the model does not say."""
_BATCH = 8  # of documents that enter an index: a query waits for no more
_DOCUMENT_PROMPTS = ("document", "passage", "corpus")  # as the library looks for one
_MODEL_TYPES = ("MultiVectorEncoder", "ColBERT")  # sentence-transformers, PyLate
_PREFIXES = ("query_prefix", "document_prefix")  # PyLate before it named a type


class MultiVectorModel(ServedModel):
    """A multi-vector model of sentence-transformers, PyLate or Stanford's ColBERT; markers, query expansion and tokens
    to leave out are as its configuration says.
    """

    kind = "multi_vector"
    _model: MultiVectorEncoder
    _counter: Any
    _turn: threading.Lock

    def _load(self) -> None:
        from sentence_transformers import MultiVectorEncoder

        hide_loading_bars()
        folder = resolve_model(self.reference)
        _refuse_other_kinds(self.reference, folder)
        self._model = MultiVectorEncoder(folder, device=pick_device(self.device))
        # Counting goes by a copy, and encoding takes turns: a tokenizer keeps where it cuts, which differs for queries.
        self._counter = copy.deepcopy(self._model.tokenizer)
        self._turn = threading.Lock()
        answer, other = self.score_documents(PROBE, [PROBE_ANSWER, PROBE_OTHER]).scores
        if not np.isfinite([answer, other]).all():
            problem = f"its self-test gave the scores {answer} and {other}, expected finite numbers"
            raise ModelLoadError(self.reference, problem)
        if answer <= other:
            log.warning("model_self_test_misordered", model=self.reference, answer=answer, other=other)

    @property
    def dimensions(self) -> int:
        """Components of a token's vector; loads the model."""
        self.ensure_loaded()
        return cast("int", self._model.get_embedding_dimension())

    def score_documents(
        self,
        query: str,
        documents: Sequence[str | StoredVectors],
        *,
        max_query_tokens: int = 32,
        max_doc_tokens: int = DOC_TOKENS,
        max_batch_tokens: int = 4096,
    ) -> Scored:
        """MaxSim of every document, from -1 to 1, in this thread; texts are encoded, stored vectors taken as they are.

        A text is cut where the model cuts it, or at `max_doc_tokens`, markers included.
        """
        return run_through(
            self.scoring_documents(
                query,
                documents,
                max_query_tokens=max_query_tokens,
                max_doc_tokens=max_doc_tokens,
                max_batch_tokens=max_batch_tokens,
            )
        )

    def scoring_documents(
        self,
        query: str,
        documents: Sequence[str | StoredVectors],
        *,
        max_query_tokens: int,
        max_doc_tokens: int,
        max_batch_tokens: int,
        memory: Memory | None = None,
    ) -> Stepwise[Scored]:
        """As `score_documents`: the query, if `memory` has no vectors of it, then a batch a step of texts to encode."""
        known = memory.query(query, max_query_tokens) if memory else None
        if known is None:
            yield max_query_tokens
            start = time.perf_counter()
            asked, query_tokens = self._encode_query(query, max_query_tokens)
            self.observe_batch(1, query_tokens, time.perf_counter() - start)
            if memory:
                memory.keep_query(asked, query, max_query_tokens)
        else:
            asked, query_tokens = known, 0
        texts = {row: document for row, document in enumerate(documents) if isinstance(document, str)}
        room, markers = self._document_room(max_doc_tokens)
        totals = dict(zip(texts, self._lengths(list(texts.values())), strict=True))
        vectors: list[Vectors] = [np.zeros((0, asked.shape[1]), dtype=np.float32)] * len(documents)
        seen = [(0, 0)] * len(documents)
        for row, document in enumerate(documents):
            if not isinstance(document, str):
                vectors[row], seen[row] = restored(document), (document.tokens_seen, document.tokens_total)
        rows = list(texts)
        lengths = [min(totals[row], room) + markers for row in rows]
        for batch in by_token_budget(lengths, self.step_tokens(max_batch_tokens)):
            tokens = sum(lengths[i] for i in batch)
            yield tokens
            start = time.perf_counter()
            found = self._encode_documents([texts[rows[i]] for i in batch], max_doc_tokens)
            self.observe_batch(len(batch), tokens, time.perf_counter() - start)
            for i, part in zip(batch, found, strict=True):
                vectors[rows[i]], seen[rows[i]] = part, (min(totals[rows[i]], room), totals[rows[i]])
        scores = maxsim(asked, vectors)
        cached = 0 if known is None else 1
        return Scored(tuple(float(score) for score in scores), query_tokens + sum(lengths), tuple(seen), cached)

    def encode_documents(self, passages: Sequence[str]) -> list[StoredVectors]:
        """The token vectors of every passage as an index stores them, in this thread, a few passages at a time."""
        self.ensure_loaded()
        room, _ = self._document_room(DOC_TOKENS)
        totals = self._lengths(passages)
        longest_first = sorted(range(len(passages)), key=lambda row: -totals[row])
        found: dict[int, StoredVectors] = {}
        for start in range(0, len(passages), _BATCH):
            rows = longest_first[start : start + _BATCH]
            parts = self._encode_documents([passages[row] for row in rows], DOC_TOKENS)
            for row, part in zip(rows, parts, strict=True):
                found[row] = quantised(part, min(totals[row], room), totals[row])
        return [found[row] for row in range(len(passages))]

    def _encode_query(self, text: str, max_tokens: int) -> tuple[Vectors, int]:
        """The query's vectors, and the tokens that were read for them."""
        expansion = getattr(self._model[0], "query_expansion", None)
        most = min(max_tokens, self._limit("query_length"))
        # Where queries are widened to a fixed length, the model decides; it warns when it is given another one.
        options: dict[str, Any] = {} if expansion else {"processing_kwargs": {"text": {"max_length": most}}}
        with self._turn:
            found: Any = self._model.encode_query([text], convert_to_numpy=True, show_progress_bar=False, **options)
        tokens = expansion["length"] if expansion else min(self._lengths([text])[0] + self._markers(("query",)), most)
        return np.asarray(found[0], dtype=np.float32), tokens

    def _encode_documents(self, texts: Sequence[str], max_tokens: int) -> list[Vectors]:
        most = min(max_tokens, self._limit("document_length"))
        with self._turn:
            found: Any = self._model.encode_document(
                list(texts),
                batch_size=len(texts),
                convert_to_numpy=True,
                show_progress_bar=False,
                processing_kwargs={"text": {"max_length": most}},
            )
        return [np.asarray(vectors, dtype=np.float32) for vectors in found]

    def _document_room(self, max_tokens: int) -> tuple[int, int]:
        """The most tokens of a document's own that are read, and the markers beside them."""
        markers = self._markers(_DOCUMENT_PROMPTS)
        return max(min(max_tokens, self._limit("document_length")) - markers, 0), markers

    def _markers(self, prompts: Sequence[str]) -> int:
        prompt = next((p for name in prompts if (p := self._model.prompts.get(name))), "")
        return int(self._counter.num_special_tokens_to_add(pair=False)) + self._lengths([prompt])[0]

    def _limit(self, of: str) -> int:
        """The most tokens that the model takes of a query or document."""
        positions = getattr(getattr(self._model.transformers_model, "config", None), "max_position_embeddings", None)
        limits = getattr(self._model[0], of, None), self._model.max_seq_length, positions
        return min(limit for limit in (*limits, sys.maxsize) if limit)

    def _lengths(self, texts: Sequence[str]) -> list[int]:
        if not texts:
            return []
        ids = self._counter(list(texts), add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
        return [len(one) for one in ids]


def _refuse_other_kinds(reference: str, folder: str) -> None:
    """Raises ModelLoadError for what the library would make a multi-vector model of by adding random weights."""
    settings, config = (_json(folder, name) for name in ("config_sentence_transformers.json", "config.json"))
    architectures: list[str] = config.get("architectures") or []
    retrieval = any(name == "HF_ColBERT" or name.endswith("ForRetrieval") for name in architectures)
    known = settings.get("model_type") in _MODEL_TYPES or any(name in settings for name in _PREFIXES)
    if (settings or config) and not known and not retrieval:
        found = settings.get("model_type") or ", ".join(architectures) or "a model without a type"
        expected = "a multi-vector model of sentence-transformers, PyLate or Stanford's ColBERT"
        raise ModelLoadError(reference, f"found {found}, expected {expected}; choose one, or train one from it")


def _json(folder: str, name: str) -> dict[str, Any]:
    """A file of the model's folder, or on the hub; empty where there is none."""
    from sentence_transformers.util import load_file_path

    path = load_file_path(folder, name)
    return cast("dict[str, Any]", json.loads(Path(path).read_text(encoding="utf-8"))) if path else {}

"""The multi-vector model: query and document apart, to one vector for each token, compared by MaxSim."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import structlog

from cascade.errors import ModelLoadError
from cascade.inference.caches import Memory
from cascade.inference.device import hide_loading_bars, pick_device
from cascade.inference.maxsim import Vectors, maxsim
from cascade.inference.model import ServedModel
from cascade.inference.reading import Reading
from cascade.inference.scored import PROBE, PROBE_ANSWER, PROBE_OTHER, Scored
from cascade.inference.stepwise import Stepwise, run_through
from cascade.inference.stored_vectors import quantised
from cascade.inference.tokenised import TokenisedText, Tokeniser
from cascade.inference.towers.strip import Tokens
from cascade.stages import StoredVectors
from cascade.weights import resolve_model

if TYPE_CHECKING:
    from sentence_transformers import MultiVectorEncoder

    from cascade.inference.token_vectors import Side, TokenVectorReader

log = structlog.get_logger()

DOC_TOKENS = 180
"""Tokens of a document that an index keeps vectors of, markers included, where the model does not say."""
_BATCH_TOKENS = 1024  # of documents that enter an index: a query waits for no more
_MODEL_TYPES = ("MultiVectorEncoder", "ColBERT")  # sentence-transformers, PyLate
_PREFIXES = ("query_prefix", "document_prefix")  # PyLate before it named a type


class MultiVectorModel(ServedModel):
    """A multi-vector model of sentence-transformers, PyLate or Stanford's ColBERT; markers, query expansion and tokens
    to leave out are as its configuration says.

    Where it projects the states of a transformer, its layers run on the backend that was asked for, the projection in
    float32. Any other runs as its library runs it.
    """

    kind = "multi_vector"
    _dimensions: int
    _reader: TokenVectorReader

    def _load(self) -> None:
        from sentence_transformers import MultiVectorEncoder

        hide_loading_bars()
        folder = resolve_model(self.reference)
        _refuse_other_kinds(self.reference, folder)
        model = MultiVectorEncoder(folder, device="cpu")
        self._dimensions = cast("int", model.get_embedding_dimension())
        self._reader = self._reader_of(model, folder)
        answer, other = self.score_documents(PROBE, [PROBE_ANSWER, PROBE_OTHER]).scores
        if not np.isfinite([answer, other]).all():
            problem = f"its self-test gave the scores {answer} and {other}, expected finite numbers"
            raise ModelLoadError(self.reference, problem)
        if answer <= other:
            log.warning("model_self_test_misordered", model=self.reference, answer=answer, other=other)

    def _reader_of(self, model: MultiVectorEncoder, folder: str) -> TokenVectorReader:
        from cascade.inference.library_vectors import LibraryVectors
        from cascade.inference.text_encoder import DOCUMENT_PROMPTS, QUERY_PROMPTS, joins, most_tokens, prompt_of
        from cascade.inference.token_head import taken_apart
        from cascade.inference.token_vectors import LibraryVectorReader, Side, TowerVectorReader

        tokenise = Tokeniser(model.tokenizer)
        parts = taken_apart(model)
        positions = getattr(getattr(model.transformers_model, "config", None), "max_position_embeddings", None)
        limits = model.max_seq_length, positions

        def side(names: Sequence[str], of: str) -> Side:
            prompt = prompt_of(model.prompts, model.default_prompt_name, names)
            (ids,) = tokenise([prompt])
            most = most_tokens(parts.backbone if parts else None, [*limits, getattr(model[0], of, None)])
            return Side(prompt, ids, joins(tokenise, prompt), most)

        query, document = side(QUERY_PROMPTS, "query_length"), side(DOCUMENT_PROMPTS, "document_length")
        if parts is None:
            self.run_as_library()
            special = cast("Any", model.tokenizer).num_special_tokens_to_add(pair=False)
            vectors = LibraryVectors(model.to(pick_device(self.device)), self.observe_batch)
            return LibraryVectorReader(vectors, tokenise, query, document, special, self.deterministic)
        self._tokeniser = tokenise if document.joins else None

        def read(asked: str, passage: str) -> list[Tokens]:
            made = zip((query, document), (asked, passage), strict=True)
            whole = [(of.most - parts.template.size, tokenise([of.prompt + text])[0]) for of, text in made]
            return [parts.template.tokens(text.ids[: min(most, DOC_TOKENS)]) for most, text in whole]

        tower = self.make_tower(parts.backbone, model, folder, read)
        reading = Reading(tower, parts.head, self.observe_batch, same_bits=self.deterministic)
        return TowerVectorReader(parts, tokenise, query, document, reading)

    @property
    def dimensions(self) -> int:
        """Components of a token's vector; loads the model."""
        self.ensure_loaded()
        return self._dimensions

    def score_documents(
        self,
        query: str,
        documents: Sequence[str | TokenisedText | StoredVectors],
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
        documents: Sequence[str | TokenisedText | StoredVectors],
        *,
        max_query_tokens: int,
        max_doc_tokens: int,
        max_batch_tokens: int,
        memory: Memory | None = None,
    ) -> Stepwise[Scored]:
        """As `score_documents`: the query, if `memory` has no vectors of it, then the texts, in batches others share.

        Texts may be token ids of `tokeniser`, where that is not None.
        """
        most = self.step_tokens(max_batch_tokens)
        asked = memory.query(query, max_query_tokens) if memory else None
        cached, tokens = int(asked is not None), 0
        if asked is None:
            wanted = self._reader.query(query, max_query_tokens, most)
            yield wanted.rows
            (asked,), tokens = wanted.vectors, wanted.tokens
            if memory:
                memory.keep_query(asked, query, max_query_tokens)
        vectors: list[Vectors | StoredVectors] = []
        seen: list[tuple[int, int]] = []
        texts = [one for one in documents if not isinstance(one, StoredVectors)]
        read = self._reader.documents(texts, max_doc_tokens, most)
        if texts:
            yield read.rows
            tokens += read.tokens
        made = zip(read.vectors, read.seen, strict=True)
        for document in documents:
            if isinstance(document, StoredVectors):
                vectors.append(document)
                seen.append((document.tokens_seen, document.tokens_total))
            else:
                found, of_text = next(made)
                vectors.append(found)
                seen.append(of_text)
        scores = maxsim(asked, vectors, threads=self.thread_count)
        return Scored(tuple(scores.tolist()), tokens, tuple(seen), cached)

    def encode_query(self, text: str, *, max_tokens: int = 32) -> Vectors:
        """A query's vectors, float32 (tokens, dimensions), in this thread."""
        self.ensure_loaded()

        def work() -> Stepwise[Vectors]:
            wanted = self._reader.query(text, max_tokens, _BATCH_TOKENS)
            yield wanted.rows
            return wanted.vectors[0]

        return run_through(work())

    def encode_documents(self, passages: Sequence[str]) -> list[StoredVectors]:
        """The token vectors of every passage as an index stores them, in this thread, in large batches."""
        self.ensure_loaded()

        def work() -> Stepwise[list[StoredVectors]]:
            wanted = self._reader.documents(passages, DOC_TOKENS, _BATCH_TOKENS)
            yield wanted.rows
            return [quantised(one, *seen) for one, seen in zip(wanted.vectors, wanted.seen, strict=True)]

        return run_through(work()) if passages else []


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

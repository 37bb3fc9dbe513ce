"""Reads BEIR folders and training triples, and finds hard negatives for them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.errors import InvalidInputError, Violation
from cascade.types import Document

Encode = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts to unit vectors, shape (texts, dimensions)."""


@dataclass(frozen=True, slots=True)
class Triple:
    """One question with at least one document that answers it; no document is on both sides."""

    query_id: str
    query: str
    positive_ids: tuple[str, ...]
    negative_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Collection:
    """A BEIR folder in memory: `texts` are passages, which is what models read."""

    name: str
    texts: Mapping[str, str]
    queries: Mapping[str, str]


def read_collection(folder: Path) -> Collection:
    """Reads `corpus.jsonl` and `queries.jsonl`; raises InvalidInputError naming file and line."""
    corpus = folder / "corpus.jsonl"
    documents = [_document(row, corpus, line) for line, row in _rows(corpus)]
    path = folder / "queries.jsonl"
    queries = {_text(row, "_id", path, line): _text(row, "text", path, line) for line, row in _rows(path)}
    return Collection(folder.name, {document.doc_id: document.passage for document in documents}, queries)


def read_triples(folder: Path, collection: Collection) -> list[Triple]:
    """Reads `triples.train.jsonl`; raises InvalidInputError for an id that the collection does not have."""
    path = folder / "triples.train.jsonl"
    triples = []
    for line, row in _rows(path):
        positives = _ids(row, "positive_ids", path, line)
        negatives = tuple(doc for doc in _ids(row, "negative_ids", path, line) if doc not in positives)
        if not positives:
            raise _invalid(path, line, "'positive_ids' is empty, expected at least one document that answers")
        for doc_id in (*positives, *negatives):
            if doc_id not in collection.texts:
                raise _invalid(path, line, f"document {doc_id!r} is not in corpus.jsonl: add it")
        triples.append(
            Triple(_text(row, "query_id", path, line), _text(row, "query", path, line), positives, negatives)
        )
    return triples


def read_qrels(folder: Path, split: str) -> dict[str, dict[str, int]]:
    """Reads `qrels/SPLIT.tsv` as query id -> document id -> grade; raises InvalidInputError."""
    path = folder / "qrels" / f"{split}.tsv"
    qrels: dict[str, dict[str, int]] = {}
    for line, content in _lines(path):
        fields = content.split("\t")
        if line == 1 and fields[-1] == "score":
            continue
        if len(fields) != 3 or not fields[2].lstrip("-").isdigit():
            found = f"found {content!r}"
            raise _invalid(path, line, f"{found}, expected three fields between tabs: query-id, corpus-id, score")
        qrels.setdefault(fields[0], {})[fields[1]] = int(fields[2])
    return qrels


@dataclass(frozen=True, slots=True)
class Similarity:
    """A bi-encoder's cosines between a collection's questions and documents; every vector has unit length."""

    query_rows: Mapping[str, int]
    doc_rows: Mapping[str, int]
    doc_ids: Sequence[str]
    queries: NDArray[np.float32]
    documents: NDArray[np.float32]

    @staticmethod
    def of(collection: Collection, encode: Encode, cache: Path | None = None) -> Similarity:
        """Encodes the collection, or reads the vectors that an earlier call left in the folder `cache`."""
        return Similarity(
            {query_id: row for row, query_id in enumerate(collection.queries)},
            {doc_id: row for row, doc_id in enumerate(collection.texts)},
            list(collection.texts),
            _vectors(list(collection.queries.values()), encode, cache and cache / f"{collection.name}.queries.npy"),
            _vectors(list(collection.texts.values()), encode, cache and cache / f"{collection.name}.documents.npy"),
        )

    def cosines(self, query_id: str, doc_ids: Sequence[str]) -> NDArray[np.float32]:
        """One cosine per document, in the same order."""
        rows = [self.doc_rows[doc_id] for doc_id in doc_ids]
        found: NDArray[np.float32] = self.documents[rows] @ self.queries[self.query_rows[query_id]]
        return found

    def nearest_negatives(self, triple: Triple, depth: int, ceiling: float = 0.95) -> tuple[str, ...]:
        """The `depth` documents nearest to the question, best first.

        A document nearer than `ceiling` times the best positive is left out: so near, it often answers too
        (positive-aware mining, Moreira et al. 2024, "NV-Retriever").
        """
        row = self.documents @ self.queries[self.query_rows[triple.query_id]]
        positives = [self.doc_rows[doc_id] for doc_id in triple.positive_ids]
        allowed = row < ceiling * row[positives].max()
        allowed[positives] = False
        eligible = np.flatnonzero(allowed)
        if len(eligible) > depth:
            eligible = eligible[np.argpartition(-row[eligible], depth)[:depth]]
        return tuple(self.doc_ids[index] for index in eligible[np.argsort(-row[eligible], kind="stable")])

    def nearest_queries(self, query_id: str, depth: int) -> tuple[str, ...]:
        """The ids of the `depth` other questions nearest to this one, best first."""
        row = self.query_rows[query_id]
        cosines = self.queries @ self.queries[row]
        cosines[row] = -np.inf
        ids = list(self.query_rows)
        best = np.argpartition(-cosines, min(depth, len(ids) - 1))[:depth]
        return tuple(ids[index] for index in best[np.argsort(-cosines[best], kind="stable")] if index != row)


def mine_negatives(
    collection: Collection, triples: Sequence[Triple], encode: Encode, *, depth: int, ceiling: float = 0.95
) -> dict[str, tuple[str, ...]]:
    """`Similarity.nearest_negatives` of every question, as query id -> document ids, best first."""
    similarity = Similarity.of(collection, encode)
    return {t.query_id: similarity.nearest_negatives(t, depth, ceiling) for t in triples}


def _vectors(texts: Sequence[str], encode: Encode, cache: Path | None) -> NDArray[np.float32]:
    if cache is not None and cache.is_file():
        kept: NDArray[np.float32] = np.load(cache).astype(np.float32)
        if len(kept) == len(texts):
            return kept
    vectors = encode(texts)
    if cache is not None:
        cache.parent.mkdir(parents=True, exist_ok=True)
        np.save(cache, vectors.astype(np.float16))
    return vectors


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    if not path.is_file():
        message = "does not exist, expected a file of a BEIR folder: check the path"
        raise InvalidInputError([Violation(str(path), message)])
    with path.open("rb") as file:
        for line, raw in enumerate(file, start=1):
            try:
                content = raw.decode("utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise _invalid(path, line, f"not UTF-8 ({error.reason}): re-encode the file") from error
            if content:
                yield line, content


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for line, content in _lines(path):
        try:
            row = json.loads(content)
        except json.JSONDecodeError as error:
            raise _invalid(path, line, f"not JSON ({error.msg}), expected one object a line") from error
        if not isinstance(row, dict):
            raise _invalid(path, line, f"found {type(row).__name__}, expected one JSON object a line")
        yield line, row


def _document(row: dict[str, Any], path: Path, line: int) -> Document:
    title = _text(row, "title", path, line, default="")
    return Document(_text(row, "_id", path, line), _text(row, "text", path, line), title)


def _text(row: dict[str, Any], key: str, path: Path, line: int, default: str | None = None) -> str:
    value = row.get(key, default)
    if not isinstance(value, str):
        raise _invalid(path, line, f"{key!r} is {value!r}, expected text")
    return value


def _ids(row: dict[str, Any], key: str, path: Path, line: int) -> tuple[str, ...]:
    value = row.get(key)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _invalid(path, line, f"{key!r} is {value!r}, expected a list of document ids")
    return tuple(value)


def _invalid(path: Path, line: int, message: str) -> InvalidInputError:
    return InvalidInputError([Violation(f"{path}:{line}", message)])

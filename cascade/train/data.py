"""Reads what models are trained on, beside a BEIR folder, and how near a bi-encoder finds its texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.evaluate import beir, rows

Encode = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts to unit vectors, shape (texts, dimensions)."""

TRIPLES, GRADED = "triples.train.jsonl", "listwise.train.jsonl"


@dataclass(frozen=True, slots=True)
class Triple:
    """One question with the documents known to answer it, and others that do not; none is on both sides."""

    query_id: str
    query: str
    positive_ids: tuple[str, ...]
    negative_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GradedList:
    """One question and the grades of the documents that were judged for it; higher is more relevant."""

    query_id: str
    query: str
    grades: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Collection:
    """A BEIR folder in memory: `texts` are passages, which is what models read."""

    name: str
    texts: Mapping[str, str]
    queries: Mapping[str, str]


def read_collection(folder: Path) -> Collection:
    """Reads `corpus.jsonl` and `queries.jsonl`; raises InvalidInputError naming file and line."""
    documents = beir.documents(folder / beir.CORPUS)
    queries = beir.queries_of(folder / beir.QUERIES)
    return Collection(folder.resolve().name, {document.doc_id: document.passage for document in documents}, queries)


def read_triples(folder: Path, collection: Collection) -> list[Triple]:
    """Reads `triples.train.jsonl`, where negatives may be missing; raises InvalidInputError naming file and line."""
    triples = []
    for place, row in rows.objects(folder / TRIPLES):
        positives = _ids(row, "positive_ids", place)
        negatives = _ids(row, "negative_ids", place) if "negative_ids" in row else ()
        if not positives:
            raise rows.invalid(place, "'positive_ids' is empty, expected at least one document that answers")
        for doc_id in (*positives, *negatives):
            if doc_id not in collection.texts:
                raise rows.invalid(place, f"document {doc_id!r} is not in corpus.jsonl: add it")
        query_id = rows.text(row, "query_id", place)
        if query_id not in collection.queries:
            raise rows.invalid(place, f"query {query_id!r} is not in queries.jsonl: add it")
        kept = tuple(doc_id for doc_id in negatives if doc_id not in positives)
        triples.append(Triple(query_id, rows.text(row, "query", place), positives, kept))
    return triples


def read_graded(folder: Path, collection: Collection) -> list[GradedList]:
    """Reads `listwise.train.jsonl`; raises InvalidInputError for an id that the collection does not have."""
    lists = []
    for place, row in rows.objects(folder / GRADED):
        candidates = row.get("candidates")
        if not isinstance(candidates, list) or not candidates:
            raise rows.invalid(place, f"'candidates' is {str(candidates)[:80]}, expected a list of ids with grades")
        grades: dict[str, int] = {}
        for candidate in candidates:
            given = candidate if isinstance(candidate, dict) else {}
            doc_id, grade = given.get("id"), given.get("grade")
            if not isinstance(doc_id, str) or doc_id not in collection.texts or not isinstance(grade, int):
                message = f"candidate {str(candidate)[:80]}: expected an id of corpus.jsonl and a whole grade"
                raise rows.invalid(place, message)
            grades[doc_id] = grade
        lists.append(GradedList(rows.text(row, "query_id", place), rows.text(row, "query", place), grades))
    return lists


def read_questions(folder: Path, collection: Collection) -> list[Triple]:
    """The questions to train on, with what is known of them: triples, or graded lists, or judgments, or nothing.

    The first is taken of `triples.train.jsonl`, `listwise.train.jsonl` and `qrels/train.tsv`; without any of them it is
    every query of the collection, and no document is known to answer.
    """
    if (folder / TRIPLES).is_file():
        return read_triples(folder, collection)
    if (folder / GRADED).is_file():
        known: Mapping[str, Mapping[str, int]] = {
            item.query_id: item.grades for item in read_graded(folder, collection)
        }
    elif (folder / beir.QRELS / "train.tsv").is_file():
        known = beir.qrels(folder / beir.QRELS / "train.tsv", collection.queries)
    else:
        known = {query_id: {} for query_id in collection.queries}
    return [
        Triple(
            query_id,
            collection.queries[query_id],
            tuple(d for d, grade in grades.items() if grade > 0 and d in collection.texts),
            tuple(d for d, grade in grades.items() if grade <= 0 and d in collection.texts),
        )
        for query_id, grades in known.items()
        if query_id in collection.queries
    ]


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


def _ids(row: Mapping[str, Any], key: str, place: str) -> tuple[str, ...]:
    value = row.get(key)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise rows.invalid(place, f"{key!r} is {value!r}, expected a list of document ids")
    return tuple(value)

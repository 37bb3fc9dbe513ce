"""Reads a judged collection from a BEIR folder (Thakur et al., 2021): documents, queries, judgments."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cascade.errors import InvalidInputError, NotFoundError, Violation
from cascade.types import Document

CORPUS, QUERIES, QRELS, EXCLUDED = "corpus.jsonl", "queries.jsonl", "qrels", "exclude_source_docs.tsv"


@dataclass(frozen=True, slots=True)
class Collection:
    """Documents and judged queries: every query has a text and at least one judgment above 0.

    `qrels` grades documents by query id and doc_id. `excluded` documents are dropped from a query's ranking
    before it is scored. `notes` says in sentences what was left out of the folder and why.
    """

    name: str
    split: str
    documents: tuple[Document, ...]
    queries: Mapping[str, str]
    qrels: Mapping[str, Mapping[str, int]]
    excluded: Mapping[str, frozenset[str]]
    notes: tuple[str, ...] = ()

    def sample(self, count: int, seed: int) -> Collection:
        """The same collection with `count` of its queries, drawn by `seed`; all when it has no more."""
        if count >= len(self.queries):
            return self
        drawn = set(random.Random(seed).sample(sorted(self.queries), count))
        note = f"{count} of {len(self.queries)} queries, drawn with seed {seed}"
        return replace(
            self,
            queries={q: text for q, text in self.queries.items() if q in drawn},
            qrels={q: grades for q, grades in self.qrels.items() if q in drawn},
            notes=(*self.notes, note),
        )


def read(folder: Path, split: str) -> Collection:
    """Read `corpus.jsonl`, `queries.jsonl`, `qrels/SPLIT.tsv` and, where present, `exclude_source_docs.tsv`.

    Raises NotFoundError for a split that is not there, InvalidInputError with file and line for the rest.
    """
    if not folder.is_dir():
        raise _invalid(str(folder), f"no such folder, expected one with {CORPUS}, {QUERIES} and {QRELS}/")
    qrels_path = folder / QRELS / f"{split}.tsv"
    if not qrels_path.is_file():
        present = sorted(p.stem for p in (folder / QRELS).glob("*.tsv"))
        raise NotFoundError(f"split in {folder / QRELS}", split, present)
    documents, empty = _documents(folder / CORPUS)
    texts = _queries(folder / QUERIES)
    judged = _qrels(qrels_path, texts)
    qrels = {q: grades for q, grades in judged.items() if any(g > 0 for g in grades.values())}
    if not qrels:
        raise _invalid(str(qrels_path), "no query has a judgment above 0, expected at least one")
    excluded_path = folder / EXCLUDED
    excluded = _excluded(excluded_path) if excluded_path.is_file() else {}
    known = {document.doc_id for document in documents}
    missing = sum(doc_id not in known for grades in qrels.values() for doc_id in grades)
    notes = [
        (empty, f"documents of {CORPUS} have neither title nor text and are left out"),
        (len(judged) - len(qrels), f"queries of split {split!r} have no judgment above 0 and are left out"),
        (missing, f"judged documents are not in {CORPUS} and count as not found"),
        (sum(map(len, excluded.values())), f"documents of {EXCLUDED} are dropped from their query's ranking"),
    ]
    return Collection(
        name=folder.resolve().name,
        split=split,
        documents=documents,
        queries={q: texts[q] for q in qrels},
        qrels=qrels,
        excluded=excluded,
        notes=tuple(f"{count} {text}" for count, text in notes if count),
    )


def _documents(path: Path) -> tuple[tuple[Document, ...], int]:
    """The documents with a title or a text, and how many have neither."""
    documents: dict[str, Document] = {}
    empty = 0
    for place, row in _rows(path):
        doc_id, text = _text(row, "_id", place), _text(row, "text", place)
        title = _text(row, "title", place, "").strip()
        if doc_id in documents:
            raise _invalid(place, f"document {doc_id!r} stands here twice; ids must be unique")
        documents[doc_id] = Document(doc_id=doc_id, title=title, text=text)
        empty += not (title or text.strip())
    kept = tuple(d for d in documents.values() if d.title or d.text.strip())
    if not kept:
        raise _invalid(str(path), "no documents, expected one JSON object a line")
    return kept, empty


def _queries(path: Path) -> dict[str, str]:
    queries: dict[str, str] = {}
    for place, row in _rows(path):
        query_id, text = _text(row, "_id", place), _text(row, "text", place)
        if query_id in queries:
            raise _invalid(place, f"query {query_id!r} stands here twice; ids must be unique")
        if not text.strip():
            raise _invalid(place, f"query {query_id!r} has an empty text")
        queries[query_id] = text
    return queries


def _qrels(path: Path, queries: Mapping[str, str]) -> dict[str, dict[str, int]]:
    qrels: dict[str, dict[str, int]] = {}
    for place, (query_id, doc_id, score) in _columns(path, 3):
        try:
            grade = int(score)
        except ValueError:
            raise _invalid(place, f"score {score!r} is not a whole number") from None
        if query_id not in queries:
            raise _invalid(place, f"query {query_id!r} is not in {QUERIES}")
        if qrels.setdefault(query_id, {}).setdefault(doc_id, grade) != grade:
            raise _invalid(place, f"document {doc_id!r} has two grades for query {query_id!r}, expected one")
    return qrels


def _excluded(path: Path) -> dict[str, frozenset[str]]:
    excluded: dict[str, set[str]] = {}
    for _, (query_id, doc_id) in _columns(path, 2):
        excluded.setdefault(query_id, set()).add(doc_id)
    return {query_id: frozenset(doc_ids) for query_id, doc_ids in excluded.items()}


def _columns(path: Path, count: int) -> Iterator[tuple[str, list[str]]]:
    """The rows of a table whose first line is a header."""
    for number, (place, line) in enumerate(_lines(path)):
        columns = line.split("\t")
        if len(columns) != count:
            raise _invalid(place, f"found {len(columns)} columns separated by tabs, expected {count}")
        if number > 0:
            yield place, columns
        elif columns[0] != "query-id":
            raise _invalid(place, f"found {columns[0]!r}, expected a header that begins with 'query-id'")


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for place, line in _lines(path):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise _invalid(place, f"not valid JSON: {error}") from error
        if not isinstance(row, dict):
            raise _invalid(place, f"found {type(row).__name__}, expected a JSON object")
        yield place, row


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Every line that is not blank, with its place as FILE:LINE."""
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                place = f"{path}:{number}"
                try:
                    line = raw.decode("utf-8").rstrip("\r\n")
                except UnicodeDecodeError as error:
                    raise _invalid(place, f"not valid UTF-8: {error}") from error
                if line.strip():
                    yield place, line
    except OSError as error:
        raise _invalid(str(path), f"cannot be read: {error.strerror}") from error


def _text(row: Mapping[str, Any], key: str, place: str, default: str | None = None) -> str:
    value = row.get(key, default)
    if not isinstance(value, str) or (key == "_id" and not value):
        raise _invalid(place, f"{key!r} is {json.dumps(value)[:80]}, expected a string")
    return value


def _invalid(place: str, message: str) -> InvalidInputError:
    return InvalidInputError([Violation(place, message)])

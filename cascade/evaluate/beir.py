"""Reads a judged collection from a BEIR folder (Thakur et al., 2021): documents, queries, judgments."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cascade.errors import NotFoundError
from cascade.evaluate import rows
from cascade.evaluate.collection import Collection, Needed, assemble
from cascade.types import Document

CORPUS, QUERIES, QRELS, EXCLUDED = "corpus.jsonl", "queries.jsonl", "qrels", "exclude_source_docs.tsv"


def read(folder: Path, split: str, needed: Needed | None = None) -> Collection:
    """Read `corpus.jsonl`, `queries.jsonl`, the judgments and, where present, `exclude_source_docs.tsv`.

    `split` is a file of `qrels/` without its ending, or the path of a judgments file, from the folder or from here.
    Raises NotFoundError for a split that is not there, InvalidInputError with file and line for the rest.
    """
    if not folder.is_dir():
        raise rows.invalid(str(folder), f"no such folder, expected one with {CORPUS}, {QUERIES} and {QRELS}/")
    qrels_path = _qrels_path(folder, split)
    texts = queries_of(folder / QUERIES)
    judged = qrels(qrels_path, texts)
    excluded_path = folder / EXCLUDED
    return assemble(
        folder.resolve().name,
        split,
        lambda _: documents(folder / CORPUS),
        texts,
        judged,
        needed=needed,
        excluded=_excluded(excluded_path) if excluded_path.is_file() else {},
        source=str(qrels_path),
    )


def qrels(path: Path, queries: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """Judgments as BEIR writes them (a header, three columns) or as TREC does (query, iteration, document, grade).

    Raises InvalidInputError, also for a query that is not one of `queries`.
    """
    found: dict[str, dict[str, int]] = {}
    first = next((line for _, line in rows.lines(path)), "")
    trec = len(first.split()) == 4
    for place, columns in ((p, line.split()) for p, line in rows.lines(path)) if trec else rows.table(path, 3):
        if trec and len(columns) != 4:
            raise rows.invalid(place, f"found {len(columns)} columns, expected the 4 of a TREC judgments file")
        query_id, doc_id, score = (columns[0], columns[2], columns[3]) if trec else columns
        grade = rows.number(score, "score", place)
        if query_id not in queries:
            raise rows.invalid(place, f"query {query_id!r} is not in {QUERIES}")
        if found.setdefault(query_id, {}).setdefault(doc_id, grade) != grade:
            raise rows.invalid(place, f"document {doc_id!r} has two grades for query {query_id!r}, expected one")
    return found


def _qrels_path(folder: Path, split: str) -> Path:
    places = (folder / QRELS / f"{split}.tsv", folder / split, folder / f"{split}.tsv", Path(split))
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        present = sorted(path.stem for path in (folder / QRELS).glob("*.tsv"))
        raise NotFoundError(f"split or judgments file in {folder / QRELS}", split, present)
    return found


def documents(path: Path) -> list[Document]:
    """Every document of a `corpus.jsonl`, in order. Raises InvalidInputError."""
    found: dict[str, Document] = {}
    for place, row in rows.objects(path):
        doc_id, text = rows.text(row, "_id", place), rows.text(row, "text", place)
        title = rows.text(row, "title", place, "").strip()
        if doc_id in found:
            raise rows.invalid(place, f"document {doc_id!r} stands here twice; ids must be unique")
        found[doc_id] = Document(doc_id=doc_id, title=title, text=text)
    return list(found.values())


def queries_of(path: Path) -> dict[str, str]:
    """Every text of a `queries.jsonl` by its id, in order. Raises InvalidInputError."""
    queries: dict[str, str] = {}
    for place, row in rows.objects(path):
        query_id, text = rows.text(row, "_id", place), rows.text(row, "text", place)
        if query_id in queries:
            raise rows.invalid(place, f"query {query_id!r} stands here twice; ids must be unique")
        if not text.strip():
            raise rows.invalid(place, f"query {query_id!r} has an empty text")
        queries[query_id] = text
    return queries


def _excluded(path: Path) -> dict[str, frozenset[str]]:
    excluded: dict[str, set[str]] = {}
    for _, (query_id, doc_id) in rows.table(path, 2):
        excluded.setdefault(query_id, set()).add(doc_id)
    return {query_id: frozenset(doc_ids) for query_id, doc_ids in excluded.items()}

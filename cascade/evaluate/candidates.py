"""Gives every query candidates of its own: those of a TREC run, or the documents that were judged for it."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from cascade.evaluate import rows
from cascade.evaluate.collection import Candidates, Collection
from cascade.evaluate.measures import Qrels


def read_run(path: Path, depth: int) -> Candidates:
    """The first `depth` documents of every query of a TREC run: by score, as trec_eval orders them, then by rank.

    Raises InvalidInputError with file and line.
    """
    found: dict[str, dict[str, tuple[float, int]]] = {}
    for place, line in rows.lines(path):
        columns = line.split()
        if len(columns) != 6:
            raise rows.invalid(place, f"found {len(columns)} columns, expected query, Q0, document, rank, score, tag")
        query_id, _, doc_id, rank, score, _ = columns
        try:
            value = -float(score)
        except ValueError:
            raise rows.invalid(place, f"score {score!r} is not a number") from None
        documents = found.setdefault(query_id, {})
        if doc_id in documents:
            raise rows.invalid(place, f"document {doc_id!r} stands twice for query {query_id!r}, expected once")
        documents[doc_id] = (value, rows.number(rank, "rank", place))
    if not found:
        raise rows.invalid(str(path), "no line, expected a TREC run")
    by_query = {q: tuple(sorted(places, key=places.__getitem__)[:depth]) for q, places in found.items()}
    return Candidates("run", by_query)


def with_run(collection: Collection, run: Candidates) -> Collection:
    """`collection` with the candidates of `run`; a judged query that the run lacks counts, with 0."""
    absent = sum(query_id not in run.by_query for query_id in collection.queries)
    wanted = {q: run.by_query[q] for q in collection.queries if q in run.by_query}
    if not wanted:
        raise rows.invalid("run", f"has none of the {len(collection.queries)} judged queries of {collection.name!r}")
    known = {document.doc_id for document in collection.documents}
    missing = sum(doc_id not in known for doc_ids in wanted.values() for doc_id in doc_ids)
    notes = [
        (absent, "judged queries are not in the run and count as 0"),
        (missing, "documents of the run have no text in the collection: they keep their place in the run alone"),
    ]
    told = tuple(f"{count} {text}" for count, text in notes if count)
    return replace(
        _needed_only(collection, wanted), candidates=Candidates("run", wanted), notes=collection.notes + told
    )


def with_judged(collection: Collection, seed: int) -> Collection:
    """`collection` with every query's own judged documents as its candidates, as answer selection is measured.

    Queries whose candidates all are relevant, or that have none, cannot be ranked right or wrong and are left out.
    """
    known = {document.doc_id for document in collection.documents}
    own = {q: [d for d in grades if d in known] for q, grades in collection.qrels.items()}
    lost = sum(len(grades) - len(own[q]) for q, grades in collection.qrels.items())
    relevant = {q: sum(collection.qrels[q][d] > 0 for d in doc_ids) for q, doc_ids in own.items()}
    decided = {q for q, doc_ids in own.items() if 0 < relevant[q] < len(doc_ids)}
    if not decided:
        raise rows.invalid(collection.name, "no query has both a relevant and another judged document")
    notes = (
        collection.notes
        if not lost
        else (*collection.notes, f"{lost} judged documents have no text and are no candidates")
    )
    collection = replace(collection, notes=notes)
    if len(decided) < len(own):
        why = f"{len(own) - len(decided)} queries whose candidates are all or none relevant are left out"
        collection = collection.only(decided, why)
    by_query = {q: _shuffled(own[q], f"{seed} {q}") for q in collection.queries}
    return replace(_needed_only(collection, by_query), candidates=Candidates("judged", by_query))


def judged_documents(qrels: Qrels) -> frozenset[str]:
    """Every document that is judged for some query."""
    return frozenset(doc_id for grades in qrels.values() for doc_id in grades)


def _needed_only(collection: Collection, candidates: Mapping[str, Iterable[str]]) -> Collection:
    needed = {doc_id for doc_ids in candidates.values() for doc_id in doc_ids}
    return replace(collection, documents=tuple(d for d in collection.documents if d.doc_id in needed))


def _shuffled(doc_ids: Iterable[str], seed: str) -> tuple[str, ...]:
    """Judgments tend to list the relevant documents first, which no stage may profit from."""
    order = sorted(doc_ids)
    random.Random(seed).shuffle(order)
    return tuple(order)

"""What a cascade is measured on: documents, judged queries, and where each query's candidates come from."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from cascade.evaluate.measures import MEASURES, Qrels
from cascade.evaluate.rows import invalid
from cascade.types import Document

Needed = Callable[[Qrels], Set[str]]
"""Which documents are needed of a collection with these judgments."""

Documents = Callable[[Set[str] | None], Iterable[Document]]
"""Reads documents: those of the ids given, or all; it may give more."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """The documents that each query is asked about, by query id and in order, instead of those of an index.

    Those of a `run` are in its order, best first; those of the judgments (`judged`) in one that tells nothing.
    """

    kind: Literal["run", "judged"]
    by_query: Mapping[str, tuple[str, ...]]

    @property
    def most(self) -> int:
        """How many the query with the most has."""
        return max((len(doc_ids) for doc_ids in self.by_query.values()), default=0)

    def only(self, query_ids: Set[str]) -> Candidates:
        """Those of the queries `query_ids`."""
        return replace(self, by_query={q: doc_ids for q, doc_ids in self.by_query.items() if q in query_ids})


@dataclass(frozen=True, slots=True)
class Collection:
    """Documents and judged queries: every query has a text and at least one judgment above 0.

    `qrels` grades documents by query id and doc_id. `excluded` documents are dropped from a query's ranking
    before it is scored. `notes` says in sentences what was left out of the source and why. `measures` are taken of
    every stage; stages are compared by the first.
    """

    name: str
    split: str
    documents: tuple[Document, ...]
    queries: Mapping[str, str]
    qrels: Qrels
    excluded: Mapping[str, frozenset[str]]
    notes: tuple[str, ...] = ()
    candidates: Candidates | None = None
    measures: tuple[str, ...] = MEASURES

    def sample(self, count: int, seed: int) -> Collection:
        """The same collection with `count` of its queries, drawn by `seed`; all when it has no more."""
        if count >= len(self.queries):
            return self
        drawn = set(random.Random(seed).sample(sorted(self.queries), count))
        return self.only(drawn, f"{count} of {len(self.queries)} queries, drawn with seed {seed}")

    def only(self, query_ids: Set[str], note: str) -> Collection:
        """The same collection with those of its queries; `note` says why."""
        return replace(
            self,
            queries={q: text for q, text in self.queries.items() if q in query_ids},
            qrels={q: grades for q, grades in self.qrels.items() if q in query_ids},
            notes=(*self.notes, note),
            candidates=self.candidates and self.candidates.only(query_ids),
        )


def read(reference: str | Path, split: str, needed: Needed | None = None) -> Collection:
    """The collection that `reference` names: a BEIR folder, an id of ir_datasets, or `hub:` and an id of the hub.

    A name that is no folder's is an id of ir_datasets, and so is whatever follows `ir:`. With `needed`, documents that
    are not needed are left out. Raises NotFoundError for a split that is not there, InvalidInputError for the rest, and
    OSError for what cannot be fetched.
    """
    name = str(reference)
    if name.startswith("hub:"):
        from cascade.evaluate import hub

        return hub.read(name.removeprefix("hub:"), split, needed)
    if isinstance(reference, Path) or Path(name).is_dir() or name.startswith(("/", ".", "~")):
        from cascade.evaluate import beir

        return beir.read(Path(name).expanduser(), split, needed)
    if name == "reading":
        from cascade.evaluate import reading

        return reading.read()
    from cascade.evaluate import catalogue

    return catalogue.read(name.removeprefix("ir:"), split, needed)


def assemble(
    name: str,
    split: str,
    documents: Documents,
    queries: Mapping[str, str],
    judged: Qrels,
    *,
    needed: Needed | None = None,
    excluded: Mapping[str, frozenset[str]] | None = None,
    source: str,
) -> Collection:
    """A collection of what was read from `source`, with notes on what had to be left out.

    Raises InvalidInputError when nothing is left, or a judged query has no text.
    """
    qrels = {q: grades for q, grades in judged.items() if any(g > 0 for g in grades.values())}
    if not qrels:
        raise invalid(source, "no query has a judgment above 0, expected at least one")
    for query_id in qrels:
        if query_id not in queries:
            raise invalid(source, f"query {query_id!r} is judged but has no text")
    wanted = None if needed is None else needed(qrels)
    given = [d for d in documents(wanted) if wanted is None or d.doc_id in wanted]
    kept = tuple(d for d in given if d.title or d.text.strip())
    if not kept:
        raise invalid(source, "no documents, expected at least one with a title or a text")
    known = {document.doc_id for document in kept}
    missing = sum(doc_id not in known for grades in qrels.values() for doc_id in grades) if wanted is None else 0
    excluded = excluded or {}
    notes = [
        (len(given) - len(kept), "documents have neither title nor text and are left out"),
        (len(judged) - len(qrels), f"queries of split {split!r} have no judgment above 0 and are left out"),
        (missing, "judged documents are not in the collection and count as not found"),
        (sum(map(len, excluded.values())), "documents are excluded from the ranking of a query"),
    ]
    return Collection(
        name=name,
        split=split,
        documents=kept,
        queries={q: queries[q] for q in qrels},
        qrels=qrels,
        excluded=excluded,
        notes=tuple(f"{count} {text}" for count, text in notes if count),
    )

"""Chooses the documents that a student is taught with, question by question, and writes them down."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cascade.train.data import Collection, Similarity, Triple
from cascade.types import Ranking

ECHO = "query:"
"""Before the id of a question that stands in a list as a document: it repeats the words and answers nothing."""


@dataclass(frozen=True, slots=True)
class CandidateMix:
    """What stands in a list beside its answer, where one is known.

    `hard` are drawn from the best `pool` of the collection's own retrieval, as many from its first fifth as from the
    rest; `random` from the whole collection, `echoes` from the questions nearest to this one. A fraction is the chance
    of one more.
    """

    hard: float = 5
    random: float = 1
    echoes: float = 0.5
    pool: int = 50


@dataclass(frozen=True, slots=True)
class CandidateList:
    """One question and its documents by id; `labels` are 1 for those known to answer it, otherwise 0."""

    collection: str
    query_id: str
    query: str
    doc_ids: tuple[str, ...]
    labels: tuple[float, ...]

    def passages(self, collection: Collection) -> dict[str, str]:
        """What the models read, by id."""
        return {
            doc_id: collection.queries[doc_id.removeprefix(ECHO)]
            if doc_id.startswith(ECHO)
            else collection.texts[doc_id]
            for doc_id in self.doc_ids
        }


def choose(
    collection: Collection,
    triples: Sequence[Triple],
    rankings: Mapping[str, Ranking],
    similarity: Similarity,
    mix: CandidateMix,
    seed: int,
) -> list[CandidateList]:
    """One list for each question, in random order within; the same for the same seed."""
    draw = random.Random(seed)
    everything = list(collection.texts)
    lists = []
    for triple in triples:
        answers = [draw.choice(triple.positive_ids)] if triple.positive_ids else []
        ranked = [doc_id for doc_id in rankings[triple.query_id].doc_ids[: mix.pool] if doc_id not in answers]
        head = max(1, mix.pool // 5)
        wanted = _count(mix.hard, draw)
        chosen = _sample(ranked[:head], (wanted + 1) // 2, draw)
        chosen += _sample(ranked[head:], wanted - len(chosen), draw)
        others = [doc_id for doc_id in _sample(everything, mix.pool, draw) if doc_id not in {*answers, *chosen}]
        chosen += others[: _count(mix.random, draw)]
        if echoes := _count(mix.echoes, draw):
            near = similarity.nearest_queries(triple.query_id, max(1, mix.pool // 5))
            chosen += [f"{ECHO}{query_id}" for query_id in _sample(near, echoes, draw)]
        doc_ids = [*answers, *chosen]
        draw.shuffle(doc_ids)
        labels = tuple(float(doc_id in triple.positive_ids) for doc_id in doc_ids)
        lists.append(CandidateList(collection.name, triple.query_id, triple.query, tuple(doc_ids), labels))
    return lists


def choose_scored(
    collection: Collection, triples: Sequence[Triple], scores: Sequence[Mapping[str, Mapping[str, float]]], size: int
) -> list[CandidateList]:
    """For each question the best `size` documents among those that every score file has scored, by the first file.

    Questions with fewer than two such documents are left out.
    """
    lists = []
    for triple in triples:
        found = [by_query.get(triple.query_id, {}) for by_query in scores]
        shared = [doc_id for doc_id in found[0] if doc_id in collection.texts and all(doc_id in f for f in found)]
        best = Ranking.from_scores([(doc_id, found[0][doc_id]) for doc_id in shared], "teacher").doc_ids[:size]
        if len(best) > 1:
            labels = tuple(float(doc_id in triple.positive_ids) for doc_id in best)
            lists.append(CandidateList(collection.name, triple.query_id, triple.query, tuple(best), labels))
    return lists


def write(lists: Sequence[CandidateList], path: Path) -> None:
    """One JSON object a line; the file appears whole."""
    rows = [
        {
            "collection": item.collection,
            "query_id": item.query_id,
            "query": item.query,
            "doc_ids": list(item.doc_ids),
            "labels": list(item.labels),
        }
        for item in lists
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".part")
    scratch.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    scratch.replace(path)


def read(path: Path) -> list[CandidateList]:
    """What `write` wrote."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    return [CandidateList(**{**row, "doc_ids": tuple(row["doc_ids"]), "labels": tuple(row["labels"])}) for row in rows]


def _count(wanted: float, draw: random.Random) -> int:
    return int(wanted) + (draw.random() < wanted % 1)


def _sample(items: Sequence[str], count: int, draw: random.Random) -> list[str]:
    return draw.sample(list(items), max(0, min(count, len(items))))

"""Chooses the documents that a student is taught with, question by question, and writes them down."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cascade.train.data import Collection, Similarity, Triple
from cascade.train.lists import LOST
from cascade.train.overlap import near_miss, without_shared_words
from cascade.types import Ranking

ECHO, NEAR_MISS, PLAIN = "echo:", "near-miss:", "plain:"
"""Before the id of what a made passage was made of."""


@dataclass(frozen=True, slots=True)
class CandidateMix:
    """What stands in a list beside its answer, where one is known.

    `hard` are drawn from the best `pool` of the collection's own retrieval, as many from its first fifth as from the
    rest; `random` from the whole collection, `echoes` from the questions nearest to this one: they repeat its words and
    answer nothing. So do `near_misses`, sentences of the hard documents that are given them. `plain` is the chance that
    the answer loses most of those that it shares with the question. Elsewhere a fraction is the chance of one more.
    """

    hard: float = 5
    random: float = 1
    echoes: float = 0.5
    near_misses: float = 0.5
    plain: float = 0.3
    pool: int = 50


@dataclass(frozen=True, slots=True)
class CandidateList:
    """One question and its documents by id; `labels` are 1 for those known to answer it, otherwise 0.

    `made` are the passages that are not in the collection, by id.
    """

    collection: str
    query_id: str
    query: str
    doc_ids: tuple[str, ...]
    labels: tuple[float, ...]
    made: Mapping[str, str] = field(default_factory=dict)

    def passages(self, collection: Collection) -> dict[str, str]:
        """What the models read, by id."""
        return {doc_id: self.made.get(doc_id) or collection.texts[doc_id] for doc_id in self.doc_ids}

    def documents(self, collection: Collection) -> dict[str, str]:
        """What teachers are asked about: nothing that was made, and answers as they stand in the collection."""
        ids = (doc_id.removeprefix(PLAIN) for doc_id in self.doc_ids if not doc_id.startswith((ECHO, NEAR_MISS)))
        return {doc_id: collection.texts[doc_id] for doc_id in ids}

    def taught(self, scores: Mapping[str, float]) -> tuple[float, ...]:
        """The scores of all documents, in order, from those of `documents`.

        Teachers count shared words too, so what was made is not asked about: an answer is worth what it was before it
        lost words, and what only repeats the question no more than the least of the others.
        """
        least = min(scores.values())
        return tuple(scores.get(doc_id.removeprefix(PLAIN), least) for doc_id in self.doc_ids)


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
        made = _made(collection, triple, answers, chosen[:wanted], similarity, mix, draw)
        doc_ids = [*(a for a in answers if f"{PLAIN}{a}" not in made), *chosen, *made]
        draw.shuffle(doc_ids)
        labels = tuple(float(doc_id.removeprefix(PLAIN) in triple.positive_ids) for doc_id in doc_ids)
        lists.append(CandidateList(collection.name, triple.query_id, triple.query, tuple(doc_ids), labels, made))
    return lists


def _made(
    collection: Collection,
    triple: Triple,
    answers: Sequence[str],
    hard: Sequence[str],
    similarity: Similarity,
    mix: CandidateMix,
    draw: random.Random,
) -> dict[str, str]:
    made: dict[str, str] = {}
    if echoes := _count(mix.echoes, draw):
        near = similarity.nearest_queries(triple.query_id, max(1, mix.pool // 5))
        made |= {f"{ECHO}{query_id}": collection.queries[query_id] for query_id in _sample(near, echoes, draw)}
    wrong = [doc_id for doc_id in hard if doc_id not in triple.positive_ids]
    for doc_id in _sample(wrong, _count(mix.near_misses, draw), draw):
        made[f"{NEAR_MISS}{doc_id}"] = near_miss(triple.query, collection.texts[doc_id], draw)
    for doc_id in answers:
        plain = without_shared_words(triple.query, collection.texts[doc_id], LOST, draw)
        if draw.random() < mix.plain and plain:
            made[f"{PLAIN}{doc_id}"] = plain
    return made


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
            "made": dict(item.made),
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

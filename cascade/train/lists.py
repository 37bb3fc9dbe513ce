"""Turns judged questions into training lists: a positive, mixed negatives, and a soft target for each."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from cascade.train.data import Collection, GradedList, Similarity, Triple
from cascade.train.overlap import near_miss, without_shared_words

LOST = 0.8
"""The share of the words in common with its question that a plain answer loses."""


@dataclass(frozen=True, slots=True)
class ListMix:
    """What stands beside the positive of a list, and how much of its target the label decides.

    `nearest` are drawn from the bi-encoder's best `pool`, `overlapping` from the triple's own (BM25's),
    `random` from the whole collection, `echoes` from the questions nearest to this one: they repeat its words and
    answer nothing. So do `near_misses`, sentences of the negatives that are given them. `plain` is the chance that the
    positive loses most of those that it shares with the question. Elsewhere a fraction is the chance of one more.
    BM25's alone teach that shared words are bad, the bi-encoder's alone that near is bad, random ones alone teach
    nothing hard. The rest of the target, `1 - label_share`, is the softmax of the bi-encoder's cosines times `scale`
    (distillation; 20 is the scale that all-MiniLM-L6-v2 was trained with); what repeats the question gets none of it,
    because to a bi-encoder it is the best answer.
    """

    nearest: float = 2
    overlapping: float = 1
    random: float = 0.25
    echoes: float = 0
    near_misses: float = 0
    plain: float = 0
    pool: int = 50
    label_share: float = 0.6
    scale: float = 20.0
    graded_size: int = 8


@dataclass(frozen=True, slots=True)
class TrainingList:
    """One question's documents in random order; `targets` are not negative and sum to 1."""

    query: str
    documents: tuple[str, ...]
    targets: tuple[float, ...]


def build_lists(
    collection: Collection, triples: Sequence[Triple], similarity: Similarity, mix: ListMix, seed: int
) -> list[TrainingList]:
    """One list for each triple, the same for the same seed."""
    draw = random.Random(seed)
    doc_ids = list(collection.texts)
    return [_build_list(collection, doc_ids, triple, similarity, mix, draw) for triple in triples]


def build_graded_lists(
    collection: Collection, graded: Sequence[GradedList], similarity: Similarity, mix: ListMix, seed: int
) -> list[TrainingList]:
    """One list for each question with an answer, the same for the same seed.

    It holds up to `graded_size` of its documents, taken from each grade in turn; a document's part in the label is
    2^grade - 1, as in the gain of nDCG.
    """
    draw = random.Random(seed)
    lists = []
    for item in graded:
        by_grade: dict[int, list[str]] = {}
        for doc_id, grade in item.grades.items():
            by_grade.setdefault(grade, []).append(doc_id)
        shuffled = [draw.sample(doc_ids, len(doc_ids)) for _, doc_ids in sorted(by_grade.items(), reverse=True)]
        turns = [doc_id for turn in zip_longest(*shuffled) for doc_id in turn if doc_id is not None]
        members = draw.sample(turns[: mix.graded_size], min(mix.graded_size, len(turns)))
        gains = [2.0 ** max(item.grades[doc_id], 0) - 1 for doc_id in members]
        if any(gains):
            targets = _targets(item.query_id, members, gains, similarity, mix)
            texts = tuple(collection.texts[doc_id] for doc_id in members)
            lists.append(TrainingList(item.query, texts, tuple(float(target) for target in targets)))
    return lists


def _targets(
    query_id: str, members: Sequence[str], gains: Sequence[float], similarity: Similarity, mix: ListMix
) -> NDArray[np.float64]:
    logits = mix.scale * similarity.cosines(query_id, members).astype(np.float64)
    teacher = np.exp(logits - logits.max())
    label = np.asarray(gains) / np.sum(gains)
    blended: NDArray[np.float64] = mix.label_share * label + (1 - mix.label_share) * teacher / teacher.sum()
    return blended


def _build_list(
    collection: Collection,
    doc_ids: Sequence[str],
    triple: Triple,
    similarity: Similarity,
    mix: ListMix,
    draw: random.Random,
) -> TrainingList:
    positive = draw.choice(triple.positive_ids)
    negatives: list[str] = []
    sources = (
        (similarity.nearest_negatives(triple, mix.pool), mix.nearest),
        (triple.negative_ids, mix.overlapping),
        (draw.sample(doc_ids, min(len(doc_ids), mix.pool)), mix.random),
    )
    for source, wanted in sources:
        fresh = [doc_id for doc_id in source if doc_id not in negatives and doc_id not in triple.positive_ids]
        count = int(wanted) + (draw.random() < wanted % 1)
        negatives.extend(draw.sample(fresh, min(count, len(fresh))))
    members = [positive, *negatives]
    targets = _targets(triple.query_id, members, [1.0] + [0.0] * len(negatives), similarity, mix)
    texts = [collection.texts[doc_id] for doc_id in members]
    count = int(mix.echoes) + (draw.random() < mix.echoes % 1)
    if count:
        near = similarity.nearest_queries(triple.query_id, mix.pool // 5)
        texts.extend(collection.queries[other] for other in draw.sample(near, min(count, len(near))))
    count = int(mix.near_misses) + (draw.random() < mix.near_misses % 1)
    for doc_id in draw.sample(negatives, min(count, len(negatives))):
        texts.append(near_miss(triple.query, collection.texts[doc_id], draw))
    if draw.random() < mix.plain:
        texts[0] = without_shared_words(triple.query, texts[0], LOST, draw)
    items = list(zip(texts, [*targets, *[0.0] * (len(texts) - len(members))], strict=True))
    draw.shuffle(items)
    return TrainingList(triple.query, tuple(text for text, _ in items), tuple(float(target) for _, target in items))

"""Trains a pointwise cross-encoder from a bi-encoder's weights on judged questions."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import structlog

from cascade.errors import InvalidInputError, Violation
from cascade.train.bi_encoder import spread_out, vectors_of
from cascade.train.data import (
    GRADED,
    TRIPLES,
    Collection,
    Similarity,
    Triple,
    read_collection,
    read_graded,
    read_questions,
    read_triples,
)
from cascade.train.development import Development, bm25_heads
from cascade.train.fitting import Schedule, ScoredList, check_folder, fit
from cascade.train.list_loss import LossMix
from cascade.train.lists import ListMix, TrainingList, build_graded_lists, build_lists
from cascade.train.students import open_student

_log = structlog.get_logger(__name__)

_OVERLAPPING = 10  # documents of BM25 where a triple names no negatives


@dataclass(frozen=True, slots=True)
class CrossEncoderRecipe:
    """Everything that decides what a training run learns; the same recipe and data give the same lists."""

    base: str = "embedded:all-minilm-l6-v2"
    teacher: str = "embedded:all-minilm-l6-v2"
    max_length: int = 160
    teacher_max_length: int = 192
    lists: Mapping[str, int] = field(default_factory=dict)  # by collection; all of one that is not named
    mix: ListMix = field(
        default_factory=lambda: ListMix(
            nearest=2, overlapping=2, random=0.5, echoes=0.5, near_misses=1, plain=0.4, label_share=0.75
        )
    )
    schedule: Schedule = field(default_factory=Schedule)


def train_cross_encoder(
    data: Sequence[Path],
    out: Path,
    recipe: CrossEncoderRecipe,
    *,
    development: Development | None = None,
    resume: bool = False,
) -> Path:
    """Trains and returns the folder of the finished model, `out`/model, which a cascade can name.

    `out` also keeps the bi-encoder's vectors, checkpoints, the recipe, the log and its curve. With `resume` training
    goes on from the last checkpoint there. Word embeddings stay frozen. Dropout is off: a run sees most lists once, and
    drawing the masks costs a CPU a fifth of its time.
    """
    check_folder(out, resume=resume)
    out.mkdir(parents=True, exist_ok=True)
    (out / "recipe.json").write_text(json.dumps(asdict(recipe), indent=2) + "\n", encoding="utf-8")
    lists = [ScoredList(i.query, i.documents, i.targets) for i in prepare_lists(data, out, recipe)]
    model = open_student(recipe.base, recipe.max_length)
    return fit(model, lists, out, recipe.schedule, LossMix(label=1.0), development=development, resume=resume)


def prepare_lists(data: Sequence[Path], out: Path, recipe: CrossEncoderRecipe) -> list[TrainingList]:
    """The lists in the order of training, with the bi-encoder's vectors kept in `out`/embeddings."""
    encode = vectors_of(recipe.teacher, max_length=recipe.teacher_max_length, bf16=recipe.schedule.bf16)
    seed = recipe.schedule.seed
    lists: list[TrainingList] = []
    for folder in data:
        collection = read_collection(folder)
        similarity = Similarity.of(collection, encode, out / "embeddings")
        limit = recipe.lists.get(collection.name)
        if not (folder / TRIPLES).is_file() and (folder / GRADED).is_file():
            graded = read_graded(folder, collection)
            chosen = spread_out(graded, len(graded) if limit is None else limit)
            found = build_graded_lists(collection, chosen, similarity, recipe.mix, seed)
        else:
            triples = _judged(folder, collection)
            picked = _with_negatives(collection, spread_out(triples, len(triples) if limit is None else limit))
            found = build_lists(collection, picked, similarity, recipe.mix, seed)
        lists.extend(found)
        _log.info("training_lists_ready", collection=collection.name, lists=len(found))
    random.Random(seed).shuffle(lists)
    return lists


def _judged(folder: Path, collection: Collection) -> list[Triple]:
    if (folder / TRIPLES).is_file():
        return read_triples(folder, collection)
    judged = [triple for triple in read_questions(folder, collection) if triple.positive_ids]
    if not judged:
        message = f"no question is known to have an answer, expected {TRIPLES}, {GRADED} or qrels/train.tsv"
        raise InvalidInputError([Violation(str(folder), message)])
    return judged


def _with_negatives(collection: Collection, triples: Sequence[Triple]) -> list[Triple]:
    """The same triples; where one names no negatives, BM25's best documents that do not answer are."""
    bare = [triple.query_id for triple in triples if not triple.negative_ids]
    heads = bm25_heads(collection, bare, _OVERLAPPING + 1) if bare else {}
    return [
        triple
        if triple.negative_ids
        else replace(
            triple, negative_ids=tuple(d for d in heads[triple.query_id].doc_ids if d not in triple.positive_ids)
        )
        for triple in triples
    ]

"""Distils cross-encoders: what strong scorers say of mined documents is taught to smaller students, rung by rung."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import structlog

from cascade.errors import InvalidInputError, Violation
from cascade.evaluate.progress import count
from cascade.train import candidate_lists
from cascade.train.bi_encoder import spread_out, vectors_of
from cascade.train.candidate_lists import CandidateList, CandidateMix
from cascade.train.data import Collection, Similarity, read_collection, read_questions
from cascade.train.development import Development
from cascade.train.fitting import MODEL, Schedule, ScoredList, check_folder, fit
from cascade.train.list_loss import LossMix
from cascade.train.mining import mine
from cascade.train.students import is_pair_encoder, open_student
from cascade.train.teacher_scores import ScoreFile, ensemble, is_score_file, open_teacher

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DistilRecipe:
    """Everything that decides what is learned; the same recipe and data give the same lists, scores and batches.

    `teachers` are cross-encoders, bi-encoders or files of scores; several are an ensemble, in which each counts as much
    as `weights` says, or all the same. The first rung starts as `ladder[0]`
    layers of `student` (by default of the first teacher, where that is a pair encoder), each later one as layers of
    the rung before it. `keep` names the layers of the only rung instead.
    """

    teachers: tuple[str, ...]
    weights: tuple[float, ...] = ()
    student: str = ""
    ladder: tuple[int, ...] = (3,)
    keep: tuple[int, ...] = ()
    bi_encoder: str = "embedded:all-minilm-l6-v2"
    max_length: int = 128
    candidates: CandidateMix = field(default_factory=CandidateMix)
    mix: LossMix = field(default_factory=lambda: LossMix(label=0.2, kl=1.0, margin=0.05))
    lists: Mapping[str, int] = field(default_factory=dict)  # by collection; all of one that is not named
    schedule: Schedule = field(default_factory=Schedule)


def distil(
    data: Sequence[Path],
    out: Path,
    recipe: DistilRecipe,
    *,
    development: Development | None = None,
    resume: bool = False,
) -> dict[str, Path]:
    """Trains the ladder; the folder of each rung's model by the rung's name, `rung-LAYERS`, in order.

    `out` keeps the recipe, the lists, what the teachers said (`scores/`), and for each rung its log, curve,
    checkpoints and model. With `resume` nothing is done twice: finished rungs stand, lists and scores are read.
    Raises InvalidInputError when `out` holds another recipe's lists.
    """
    rungs = _rungs(recipe)
    _check_recipe(out, recipe, resume=resume)
    lists = taught_lists(data, out, recipe)
    models: dict[str, Path] = {}
    start = recipe.student or _first_student(recipe)
    for name, layers in rungs.items():
        folder = out / name
        if not (folder / MODEL / "model.safetensors").is_file():
            begun = resume and any(folder.glob("checkpoints/checkpoint-*"))
            check_folder(folder, resume=begun)
            student = open_student(start, recipe.max_length, layers)
            fit(student, lists, folder, recipe.schedule, recipe.mix, development=development, resume=begun)
        models[name] = folder / MODEL
        start = str((folder / MODEL).absolute())
    return models


def taught_lists(data: Sequence[Path], out: Path, recipe: DistilRecipe) -> list[ScoredList]:
    """What the students read and what the teachers say of it, in the order of training."""
    chosen: list[tuple[CandidateList, dict[str, str]]] = []
    said: list[dict[str, list[float]]] = []  # of each document what each teacher says
    for folder in data:
        collection = read_collection(folder)
        lists = _choose(folder, collection, out, recipe)
        teachers = [
            open_teacher(teacher, out / "scores", collection.name, max_length=recipe.max_length)
            for teacher in recipe.teachers
        ]
        with count(f"asking the teachers about {collection.name}", len(lists)) as one_more:
            for item in lists:
                documents = item.documents(collection)
                chosen.append((item, item.passages(collection)))
                scores = [teacher.scores(item.query_id, item.query, documents) for teacher in teachers]
                said.append(dict(zip(documents, map(list, zip(*scores, strict=True)), strict=True)))
                one_more()
    if not chosen:
        raise InvalidInputError([Violation("data", "no question has documents that all teachers score: check them")])
    spread = float(np.mean([np.std([scores[0] for scores in of_list.values()]) for of_list in said]))
    lists_taught = [
        ScoredList(item.query, tuple(passages.values()), item.labels, item.taught(_together(of_list, spread, recipe)))
        for (item, passages), of_list in zip(chosen, said, strict=True)
    ]
    random.Random(recipe.schedule.seed).shuffle(lists_taught)
    return lists_taught


def _together(said: Mapping[str, Sequence[float]], spread: float, recipe: DistilRecipe) -> dict[str, float]:
    by_teacher = list(zip(*said.values(), strict=True))
    return dict(zip(said, ensemble(by_teacher, spread, recipe.weights), strict=True))


def _choose(folder: Path, collection: Collection, out: Path, recipe: DistilRecipe) -> list[CandidateList]:
    path = out / "lists" / f"{collection.name}.jsonl"
    if path.is_file():
        return candidate_lists.read(path)
    questions = read_questions(folder, collection)
    questions = spread_out(questions, recipe.lists.get(collection.name, len(questions)))
    files = [ScoreFile(Path(name).expanduser()).by_query for name in recipe.teachers if is_score_file(name)]
    if files:
        size = 1 + round(recipe.candidates.hard + recipe.candidates.random)
        lists = candidate_lists.choose_scored(collection, questions, files, size)
    else:
        similarity = Similarity.of(collection, vectors_of(recipe.bi_encoder), out / "embeddings")
        asked = [question.query_id for question in questions]
        rankings = mine(collection, asked, similarity, out / "indexes" / collection.name, depth=recipe.candidates.pool)
        seed = recipe.schedule.seed
        lists = candidate_lists.choose(collection, questions, rankings, similarity, recipe.candidates, seed)
    candidate_lists.write(lists, path)
    _log.info("lists_chosen", collection=collection.name, lists=len(lists), questions=len(questions))
    return lists


def _rungs(recipe: DistilRecipe) -> dict[str, int | tuple[int, ...]]:
    """What each rung keeps, by its name; raises InvalidInputError for a ladder that does not go down."""
    if recipe.keep:
        return {f"rung-{len(recipe.keep)}": recipe.keep}
    if not recipe.ladder or list(recipe.ladder) != sorted(set(recipe.ladder), reverse=True):
        message = f"found {recipe.ladder}, expected numbers of layers that go down, such as 12,6,3"
        raise InvalidInputError([Violation("ladder", message)])
    return {f"rung-{layers}": layers for layers in recipe.ladder}


def _first_student(recipe: DistilRecipe) -> str:
    first = recipe.teachers[0]
    return first if not is_score_file(first) and is_pair_encoder(first) else recipe.bi_encoder


def _check_recipe(out: Path, recipe: DistilRecipe, *, resume: bool) -> None:
    """Writes the recipe down; what was prepared by another one must not be taken for this one's."""
    path = out / "recipe.json"
    text = json.dumps(asdict(recipe), indent=2) + "\n"
    if (out / "lists").is_dir():
        if not resume:
            message = "holds a distillation: resume it, or distil into another folder"
            raise InvalidInputError([Violation(str(out), message)])
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            message = "another recipe began this folder: repeat its options, or take another folder"
            raise InvalidInputError([Violation(str(path), message)])
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")

"""Measures a ladder of models side by side: how well each ranks, and how fast next to the first."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cascade.evaluate.significance import Interval, compare, interval
from cascade.train.development import DevelopmentSet
from cascade.types import Ranking

if TYPE_CHECKING:
    from cascade.inference.cross_encoder import CrossEncoderModel

_BATCH_TOKENS = 4096
_ROUNDS = 5
_TIMED_QUESTIONS = 4


@dataclass(frozen=True, slots=True)
class Rung:
    """A model as served: nDCG@10 of the development set, its share of the first's, and pairs a second.

    `p` is the probability of a difference to the first as large by chance. `speed` is the ratio of the median times,
    measured in turns with the first, so that a busy machine slows both.
    """

    name: str
    model: str
    ndcg: Interval
    share: float
    p: float
    pairs_per_second: float
    speed: float


def measure_rungs(models: Mapping[str, str], development: DevelopmentSet, *, max_length: int) -> list[Rung]:
    """Every model of `models` (references by name); the first is what the others are compared with."""
    served = {name: _open(reference) for name, reference in models.items()}
    quality = {name: _ndcg(model, development, max_length) for name, model in served.items()}
    seconds, pairs = _seconds(served, development, max_length)
    first = next(iter(models))
    return [
        Rung(
            name,
            reference,
            interval(quality[name], seed=0),
            float(quality[name].mean() / quality[first].mean()) if quality[first].any() else 0.0,
            compare(quality[name], quality[first], stage=first, seed=0).p,
            pairs / seconds[name],
            seconds[first] / seconds[name],
        )
        for name, reference in models.items()
    ]


def write_report(rungs: Sequence[Rung], path: Path) -> None:
    """All that was measured, as JSON."""
    path.write_text(json.dumps([asdict(rung) for rung in rungs], indent=2) + "\n", encoding="utf-8")


def _open(reference: str) -> CrossEncoderModel:
    from cascade.inference.cross_encoder import CrossEncoderModel

    model = CrossEncoderModel(reference, device="cpu")
    model.ensure_loaded()
    return model


def _ndcg(model: CrossEncoderModel, development: DevelopmentSet, max_length: int) -> np.ndarray:
    rankings = {}
    for query_id, head in development.heads.items():
        scores = _score(model, development, query_id, max_length)
        rankings[query_id] = Ranking.from_scores(zip(head.doc_ids, scores, strict=True), "rung")
    return np.array(list(development.ndcg(rankings).values()))


def _seconds(
    served: Mapping[str, CrossEncoderModel], development: DevelopmentSet, max_length: int
) -> tuple[dict[str, float], int]:
    """The median time of each model for the same pairs, and how many those are."""
    asked = list(development.heads)[:_TIMED_QUESTIONS]
    times: dict[str, list[float]] = {name: [] for name in served}
    for _ in range(_ROUNDS):
        for name, model in served.items():
            start = time.perf_counter()
            for query_id in asked:
                _score(model, development, query_id, max_length)
            times[name].append(time.perf_counter() - start)
    pairs = sum(len(development.heads[query_id]) for query_id in asked)
    return {name: statistics.median(taken) for name, taken in times.items()}, pairs


def _score(model: CrossEncoderModel, development: DevelopmentSet, query_id: str, max_length: int) -> tuple[float, ...]:
    collection = development.collection
    passages = [collection.texts[doc_id] for doc_id in development.heads[query_id].doc_ids]
    scored = model.score_pairs(
        collection.queries[query_id], passages, max_length=max_length, max_batch_tokens=_BATCH_TOKENS
    )
    return scored.scores

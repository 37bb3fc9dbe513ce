"""Turns what a collection's queries showed into figures per stage: quality, cost, and what each adds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from cascade.evaluate.collection import Collection
from cascade.evaluate.measures import MEASURES, Run, recall, score, without
from cascade.evaluate.runs import Observation, Stage
from cascade.evaluate.significance import Comparison, Interval, compare, interval


@dataclass(frozen=True, slots=True)
class StageFigures:
    """One stage over all queries; `candidates`, `tokens` and `seconds` are means over those that it ran for.

    `recall_ceiling` is R@depth: no order of the candidates that the stage passes on or reranks has a higher
    recall. `against` compares its first measure with every earlier stage's, by name.
    """

    stage: Stage
    candidates: float
    tokens: float
    seconds: float
    status: Mapping[str, int]
    measures: Mapping[str, Interval]
    recall_ceiling: Interval
    against: Mapping[str, Comparison]
    against_previous: Comparison | None


@dataclass(frozen=True, slots=True)
class Report:
    """A cascade on a collection; every judged query counts, an unanswered one with 0."""

    collection: str
    split: str
    queries: int
    cascade: str
    config_hash: str
    index: str
    top_k: int
    degraded_queries: int
    unanswered_queries: int
    stages: tuple[StageFigures, ...]
    notes: tuple[str, ...]


def measure(
    collection: Collection,
    stages: Sequence[Stage],
    runs: Mapping[str, Run],
    observations: Mapping[str, Observation],
    *,
    seed: int,
) -> tuple[StageFigures, ...]:
    """The figures of every stage, in order; `runs` as `runs.rebuild` makes them of `observations`."""
    values: dict[str, Any] = {}
    figures: list[StageFigures] = []
    for stage in stages:
        run = without(runs[stage.name], collection.excluded)
        scored = score(run, collection.qrels)
        gain = scored[MEASURES[0]]
        against = {name: compare(gain, before, stage=name, seed=seed) for name, before in values.items()}
        costs = [o.costs[stage.name] for o in observations.values() if stage.name in o.costs]
        ran = [cost for cost in costs if cost.status != "skipped"]
        figures.append(
            StageFigures(
                stage=stage,
                candidates=_mean([cost.candidates for cost in ran]),
                tokens=_mean([cost.tokens for cost in ran]),
                seconds=_mean([cost.seconds for cost in ran]),
                status=dict(Counter(cost.status for cost in costs)),
                measures={name: interval(scored[name], seed=seed) for name in MEASURES},
                recall_ceiling=interval(recall(run, collection.qrels, stage.depth), seed=seed),
                against=against,
                against_previous=against[figures[-1].stage.name] if figures else None,
            )
        )
        values[stage.name] = gain
    return tuple(figures)


def to_json(report: Report) -> dict[str, Any]:
    """The report as plain JSON values; `compared_by` names the measure of both kinds of `against`."""
    facts = asdict(replace(report, stages=()))
    return {**facts, "compared_by": MEASURES[0], "stages": [_stage_json(stage) for stage in report.stages]}


def _stage_json(figures: StageFigures) -> dict[str, Any]:
    facts, stage = asdict(figures), figures.stage
    facts["stage"] = stage.name
    facts["against"] = {name: {"delta": c.delta, "p": c.p} for name, c in figures.against.items()}
    return {"stage": stage.name, "kind": stage.kind, "depth": stage.depth, **facts}


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0

"""Turns what a collection's queries showed into figures per stage: quality, cost, and what each adds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.evaluate.collection import Collection
from cascade.evaluate.measures import Run, recall, score, without
from cascade.evaluate.runs import Observation, Stage
from cascade.evaluate.significance import Comparison, Interval, compare, intervals


@dataclass(frozen=True, slots=True)
class StageFigures:
    """One stage over all queries; costs from `candidates` to `repairs` are means over those that it ran for.

    `measures` are those of the collection and R@depth, and `values` holds their value for each query, in the order of
    the report's `query_ids`. `recall_ceiling` is R@depth: no order of the candidates that the stage passes on or
    reranks has a higher recall. `against` compares its first measure with every earlier stage's, by name. `money` is
    what a query costs at the report's price per hour, a stage that did not run costing nothing.
    """

    stage: Stage
    candidates: float
    scored: float
    tokens: float
    seconds: float
    repairs: float
    status: Mapping[str, int]
    measures: Mapping[str, Interval]
    recall_ceiling: Interval
    against: Mapping[str, Comparison]
    against_previous: Comparison | None
    values: Mapping[str, tuple[float, ...]]
    money: float | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """A cascade on a collection; every judged query counts, an unanswered one with 0.

    Stages are compared by the measure `compared_by`. `index` is empty where queries brought candidates of their own.
    `money` is that of a query over all stages, None without a price per hour.
    """

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
    query_ids: tuple[str, ...]
    compared_by: str
    price_per_hour: float | None = None
    money: float | None = None


def measure(
    collection: Collection,
    stages: Sequence[Stage],
    runs: Mapping[str, Run],
    observations: Mapping[str, Observation],
    *,
    seed: int,
    price_per_hour: float | None = None,
) -> tuple[StageFigures, ...]:
    """The figures of every stage, in order; `runs` as `runs.rebuild` makes them of `observations`."""
    gains: dict[str, NDArray[np.float64]] = {}
    figures: list[StageFigures] = []
    for stage in stages:
        run = without(runs[stage.name], collection.excluded)
        scored = score(run, collection.qrels, collection.measures)
        scored[f"R@{stage.depth}"] = recall(run, collection.qrels, stage.depth)
        within = intervals(scored, seed=seed)
        gain = scored[collection.measures[0]]
        against = {name: compare(gain, before, stage=name, seed=seed) for name, before in gains.items()}
        costs = [o.costs[stage.name] for o in observations.values() if stage.name in o.costs]
        ran = [cost for cost in costs if cost.status != "skipped"]
        spent = sum(cost.seconds for cost in ran) / len(collection.queries)
        figures.append(
            StageFigures(
                stage=stage,
                candidates=_mean([cost.candidates for cost in ran]),
                scored=_mean([cost.scored for cost in ran]),
                tokens=_mean([cost.tokens for cost in ran]),
                seconds=_mean([cost.seconds for cost in ran]),
                repairs=_mean([cost.repairs for cost in ran]),
                status=dict(Counter(cost.status for cost in costs)),
                measures=within,
                recall_ceiling=within[f"R@{stage.depth}"],
                against=against,
                against_previous=against[figures[-1].stage.name] if figures else None,
                values={name: tuple(values.tolist()) for name, values in scored.items()},
                money=None if price_per_hour is None else spent * price_per_hour / 3600,
            )
        )
        gains[stage.name] = gain
    return tuple(figures)


def to_json(report: Report, *, per_query: bool = False) -> dict[str, Any]:
    """The report as plain JSON values; `compared_by` names the measure of both kinds of `against`.

    With `per_query`, each stage has the value of every measure by query id.
    """
    facts = asdict(replace(report, stages=(), query_ids=()))
    del facts["query_ids"]
    query_ids = report.query_ids if per_query else ()
    return {**facts, "stages": [_stage_json(stage, query_ids) for stage in report.stages]}


def _stage_json(figures: StageFigures, query_ids: Sequence[str]) -> dict[str, Any]:
    facts, stage = asdict(replace(figures, values={})), figures.stage
    del facts["values"]
    facts["stage"] = stage.name
    facts["against"] = {name: {"delta": c.delta, "p": c.p} for name, c in figures.against.items()}
    if query_ids:
        facts["per_query"] = {n: dict(zip(query_ids, v, strict=True)) for n, v in figures.values.items()}
    return {"stage": stage.name, "kind": stage.kind, "depth": stage.depth, **facts}


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0

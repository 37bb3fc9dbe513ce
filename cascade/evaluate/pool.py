"""Tests stages over the queries of several collections together, from the JSON of `cascade eval --per-query`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.evaluate.rows import invalid
from cascade.evaluate.significance import Comparison, Interval, compare, interval

Values = Mapping[str, NDArray[np.float64]]
"""Values of one measure by stage, each of shape (queries,) and of the same queries in the same order."""


@dataclass(frozen=True, slots=True)
class PooledStage:
    """A stage over the queries of all collections, each query counting alike; `deltas` are those of each collection."""

    stage: str
    measure: Interval
    against: Mapping[str, Comparison]
    against_previous: Comparison | None
    deltas: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Pooled:
    """Several evaluations of the same stages as one."""

    collections: tuple[str, ...]
    queries: tuple[int, ...]
    compared_by: str
    stages: tuple[PooledStage, ...]


def read_report(path: Path) -> dict[str, Any]:
    """A report with every query's values. Raises InvalidInputError."""
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise invalid(str(path), f"cannot be read as JSON: {error}") from error
    if not isinstance(report, dict) or not all("per_query" in stage for stage in report.get("stages", [{}])):
        raise invalid(str(path), "has no values per query; make it with: cascade eval ... --json --per-query")
    return report


def pool(reports: Sequence[Mapping[str, Any]], *, seed: int) -> Pooled:
    """The stages that all reports have, by name and in the order of the first, over all queries of all of them.

    Raises InvalidInputError when they are not compared by the same measure or share no stage.
    """
    measures = {report["compared_by"] for report in reports}
    if len(measures) != 1:
        raise invalid("reports", f"are compared by {', '.join(sorted(measures))}, expected one measure")
    measure = measures.pop()
    names = [s["stage"] for s in reports[0]["stages"]]
    names = [name for name in names if all(name in {s["stage"] for s in r["stages"]} for r in reports)]
    if not names:
        raise invalid("reports", "have no stage in common, expected stages of the same names")
    by_report: list[Values] = [
        {s["stage"]: np.array(list(s["per_query"][measure].values())) for s in report["stages"]} for report in reports
    ]
    stages: list[PooledStage] = []
    for place, name in enumerate(names):
        values = _joined(by_report, name)
        against = {
            before: compare(values, _joined(by_report, before), stage=before, seed=seed) for before in names[:place]
        }
        previous = names[place - 1] if place else None
        stages.append(
            PooledStage(
                stage=name,
                measure=interval(values, seed=seed),
                against=against,
                against_previous=against[previous] if previous else None,
                deltas=tuple(float((v[name] - v[previous]).mean()) for v in by_report) if previous else (),
            )
        )
    return Pooled(
        collections=tuple(f"{report['collection']} ({report['split']})" for report in reports),
        queries=tuple(report["queries"] for report in reports),
        compared_by=measure,
        stages=tuple(stages),
    )


def pooled_json(pooled: Pooled) -> dict[str, Any]:
    """The pooled stages as plain JSON values."""
    stages = [
        {
            "stage": stage.stage,
            "measures": {pooled.compared_by: asdict(stage.measure)},
            "against": {name: {"delta": c.delta, "p": c.p} for name, c in stage.against.items()},
            "against_previous": asdict(stage.against_previous) if stage.against_previous else None,
            "deltas": dict(zip(pooled.collections, stage.deltas, strict=False)),
        }
        for stage in pooled.stages
    ]
    return {
        "collections": dict(zip(pooled.collections, pooled.queries, strict=True)),
        "queries": sum(pooled.queries),
        "compared_by": pooled.compared_by,
        "stages": stages,
    }


def _joined(by_report: Sequence[Values], stage: str) -> NDArray[np.float64]:
    return np.concatenate([values[stage] for values in by_report])

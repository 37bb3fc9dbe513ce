"""Writes the reports of a standing evaluation as the tables of a README, between two marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from cascade.errors import InvalidInputError, Violation
from cascade.evaluate.significance import compare, interval
from cascade.evaluate.standing.rows import Plan, Task, Tier

BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"

Reports = Mapping[tuple[str, str], Mapping[str, Any]]
"""The JSON of `cascade eval`, by the titles of task and tier."""


def markdown(plan: Plan, reports: Reports) -> str:
    """A table for each task, and one of what tiers add over all tasks together."""
    return "\n\n".join([*(_task(task, plan.tiers, reports) for task in plan.tasks), _pooled(plan, reports)]) + "\n"


def insert(text: str, tables: str) -> str:
    """`text` with what stood between the marks replaced. Raises InvalidInputError where a mark is missing."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        message = f"has no line {BEGIN!r} followed by {END!r}; put both where the tables belong"
        raise InvalidInputError([Violation("the file", message)])
    return f"{before}{BEGIN}\n\n{tables}\n{END}{after}"


def _task(task: Task, tiers: Sequence[Tier], reports: Reports) -> str:
    first = reports[task.title, tiers[0].title]
    measure = first["compared_by"]
    lines = [
        f"### {task.title} ({first['queries']} queries)",
        "",
        f"| | {measure} | against | difference, p | scored | tokens | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    shown: set[str] = set()  # a stage that several cascades share stands once
    for tier in tiers:
        before: tuple[str, str] | None = None
        for stage in reports[task.title, tier.title]["stages"]:
            if (name := tier.stages.get(stage["stage"])) is not None:
                if name not in shown:
                    lines.append(_row(name, stage, measure, before))
                shown.add(name)
                before = stage["stage"], name
    return "\n".join(lines)


def _row(name: str, stage: Mapping[str, Any], measure: str, before: tuple[str, str] | None) -> str:
    found = stage["measures"][measure]
    against, difference = "", ""
    if before is not None:
        compared = stage["against"][before[0]]
        against, difference = before[1], f"{compared['delta']:+.3f}, {compared['p']:.4f}"
    costs = f"{stage['scored']:.0f} | {stage['tokens']:,.0f} | {stage['seconds']:.2f}"
    return f"| {name} | {_interval(found)} | {against} | {difference} | {costs} |"


def _pooled(plan: Plan, reports: Reports) -> str:
    """Paired over all queries of all tasks together, so that small collections add up to one answer."""
    lines = ["### What a tier adds, over the queries of all of these together", ""]
    lines += ["| | over | queries | difference | p |", "|---|---|---|---|---|"]
    for tier in plan.tiers:
        names = list(tier.stages)
        for before, stage in pairwise(names):
            after_values, before_values = [], []
            for task in plan.tasks:
                values = _values(reports[task.title, tier.title])
                if stage in values and before in values:
                    after_values.extend(values[stage])
                    before_values.extend(values[before])
            gain = np.array(after_values) - np.array(before_values)
            compared = compare(np.array(after_values), np.array(before_values), stage=before, seed=0)
            difference = interval(gain, seed=0)
            lines.append(
                f"| {tier.stages[stage]} | {tier.stages[before]} | {len(gain)} | "
                f"{difference.mean:+.4f} [{difference.low:+.4f}, {difference.high:+.4f}] | {compared.p:.4f} |"
            )
    return "\n".join(lines)


def _values(report: Mapping[str, Any]) -> dict[str, list[float]]:
    measure = report["compared_by"]
    return {stage["stage"]: list(stage["per_query"][measure].values()) for stage in report["stages"]}


def _interval(found: Mapping[str, float]) -> str:
    return f"{found['mean']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"

"""Puts two cascades side by side, query by query: who wins how often, by how much, where, and at what cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cascade.evaluate.collection import Collection
from cascade.evaluate.report import Report, to_json
from cascade.evaluate.significance import Comparison, Interval, compare, interval

MOVED = 10
"""How many of the queries that moved most are told."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What each cascade's last stage got for one query."""

    query_id: str
    text: str
    first: float
    second: float


@dataclass(frozen=True, slots=True)
class Spent:
    """What a cascade spends on a query in all: means over all queries, seconds added up over stages."""

    tokens: float
    seconds: float
    money: float | None


@dataclass(frozen=True, slots=True)
class SideBySide:
    """The second cascade against the first, by the last stage of each: `wins` are queries that the second has better.

    `against` tests the second against the first; `delta` is the same difference with its interval. `moved` are the
    queries that moved most, and `shared` the stages that both began with and that ran once.
    """

    reports: tuple[Report, Report]
    wins: int
    ties: int
    losses: int
    delta: Interval
    against: Comparison
    moved: tuple[Moved, ...]
    spent: tuple[Spent, Spent]
    shared: tuple[str, ...]


def side_by_side(
    collection: Collection, first: Report, second: Report, *, shared: Sequence[str] = (), seed: int
) -> SideBySide:
    """Compare two reports on the same queries of `collection`."""
    if first.query_ids != second.query_ids:
        raise ValueError("found reports on different queries, expected the same twice")
    name = first.compared_by
    before, after = (np.array(report.stages[-1].values[name]) for report in (first, second))
    differences = np.round(after - before, 9)  # sums in another order differ in the last digits
    order = sorted(np.flatnonzero(differences), key=lambda row: (-abs(differences[row]), row))
    return SideBySide(
        reports=(first, second),
        wins=int(np.count_nonzero(differences > 0)),
        ties=int(np.count_nonzero(differences == 0)),
        losses=int(np.count_nonzero(differences < 0)),
        delta=interval(after - before, seed=seed),
        against=compare(after, before, stage=first.cascade, seed=seed),
        moved=tuple(
            Moved(query_id, collection.queries[query_id], float(before[row]), float(after[row]))
            for row, query_id in ((row, first.query_ids[row]) for row in order[:MOVED])
        ),
        spent=(_spent(first), _spent(second)),
        shared=tuple(shared),
    )


def comparison_json(side: SideBySide, *, per_query: bool = False) -> dict[str, Any]:
    """The comparison as plain JSON values, with both reports."""
    first, second = side.reports
    return {
        "collection": first.collection,
        "split": first.split,
        "queries": first.queries,
        "compared_by": first.compared_by,
        "first": {"cascade": first.cascade, **asdict(side.spent[0])},
        "second": {"cascade": second.cascade, **asdict(side.spent[1])},
        "wins": side.wins,
        "ties": side.ties,
        "losses": side.losses,
        "delta": asdict(side.delta),
        "p": side.against.p,
        "moved": [asdict(moved) for moved in side.moved],
        "shared": list(side.shared),
        "reports": [to_json(report, per_query=per_query) for report in side.reports],
    }


def _spent(report: Report) -> Spent:
    shares = [sum(f.status.values()) - f.status.get("skipped", 0) for f in report.stages]
    ran = [count / report.queries for count in shares]
    return Spent(
        tokens=sum(f.tokens * share for f, share in zip(report.stages, ran, strict=True)),
        seconds=sum(f.seconds * share for f, share in zip(report.stages, ran, strict=True)),
        money=report.money,
    )

"""Shows evaluations and answers as tables for a terminal."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from cascade.evaluate.compare import SideBySide
from cascade.evaluate.pool import Pooled
from cascade.evaluate.report import Report, StageFigures
from cascade.evaluate.significance import Interval
from cascade_client import Ranked


def quality_table(report: Report) -> Table:
    """One row per stage: every measure with its 95 % interval, and what the stage adds to the one before."""
    title = f"{report.collection} ({report.split}), {report.queries} queries, cascade {report.cascade!r}"
    table = _narrow(title)
    table.add_column("stage")
    names = [name for name in report.stages[0].measures if not name.startswith("R@")]  # which the other table shows
    for name in (*names, "Δ", "p"):
        table.add_column(name, justify="right")
    for figures in report.stages:
        previous = figures.against_previous
        table.add_row(
            figures.stage.name,
            *(_with_interval(figures.measures[name]) for name in names),
            f"{previous.delta:+.3f}" if previous else "",
            f"{previous.p:.4f}" if previous else "",
        )
    table.caption = (
        f"Means with 95 % bootstrap intervals over queries. Δ and p: of {report.compared_by} against the row above, by "
        f"a paired randomisation test. Measured on the first {report.top_k} of every stage."
    )
    return table


def cost_table(report: Report) -> Table:
    """One row per stage: how it ended, and its means per query; what all cost together where a price is known."""
    priced, repaired = report.money is not None, any(figures.repairs for figures in report.stages)
    table = _narrow()
    table.add_column("stage")
    table.add_column("status")
    optional = (*(["repairs"] if repaired else []), *(["money"] if priced else []))
    for name in ("in", "R@k", "scored", "tokens", "ms", *optional):
        table.add_column(name, justify="right")
    for figures in report.stages:
        table.add_row(
            figures.stage.name,
            _statuses(figures),
            f"{figures.candidates:.0f}",
            f"{figures.recall_ceiling.mean:.3f}",
            f"{figures.scored:.0f}" if figures.scored else "",
            f"{figures.tokens:.0f}" if figures.tokens else "",
            _milliseconds(figures.seconds),
            *([f"{figures.repairs:.2f}" if figures.repairs else ""] if repaired else []),
            *([f"{figures.money:.3g}"] if figures.money is not None else []),
        )
    table.caption = (
        "Means per query. in: candidates. R@k: recall of those that the stage passes on or reranks, in whatever order. "
        "scored: those that it gave a score."
    )
    if report.money is not None:
        table.caption += f" money: {report.money:.3g} in all, at {report.price_per_hour} an hour."
    return table


def comparison_table(side: SideBySide) -> Table:
    """One row per cascade: what its last stage reaches and what a query costs; what the second is to the first."""
    first, second = side.reports
    name = first.compared_by
    table = _narrow(f"{first.collection} ({first.split}), {first.queries} queries")
    table.add_column("cascade")
    for column in (name, "Δ", "p", "tokens", "ms", *(["money"] if side.spent[0].money is not None else [])):
        table.add_column(column, justify="right")
    for report, spent in zip(side.reports, side.spent, strict=True):
        last = report is second
        table.add_row(
            report.cascade,
            _with_interval(report.stages[-1].measures[name]),
            _difference(side.delta) if last else "",
            f"{side.against.p:.4f}" if last else "",
            f"{spent.tokens:.0f}",
            _milliseconds(spent.seconds),
            *([f"{spent.money:.3g}"] if spent.money is not None else []),
        )
    table.caption = (
        f"{second.cascade} against {first.cascade}: {side.wins} queries better, {side.ties} the same, {side.losses} "
        f"worse. Costs are means per query over all stages."
    )
    if side.shared:
        table.caption += f" Ran once for both: {', '.join(side.shared)}."
    return table


def moved_table(side: SideBySide) -> Table:
    """One row for each query that moved most: its text, and what the last stage of each cascade got."""
    first, second = side.reports
    table = _narrow("Queries that moved most")
    table.add_column("query", overflow="ellipsis", no_wrap=True, max_width=48)
    for column in (first.cascade, second.cascade, "Δ"):
        table.add_column(column, justify="right")
    for moved in side.moved:
        table.add_row(
            Text(moved.text), f"{moved.first:.3f}", f"{moved.second:.3f}", f"{moved.second - moved.first:+.3f}"
        )
    return table


def pooled_table(pooled: Pooled) -> Table:
    """One row per stage over all collections, with what it adds to the one before, in all and in each."""
    table = _narrow()
    table.add_column("stage")
    for column in (pooled.compared_by, "Δ", "p", *(f"Δ {place}" for place in range(1, len(pooled.collections) + 1))):
        table.add_column(column, justify="right")
    for stage in pooled.stages:
        previous = stage.against_previous
        table.add_row(
            stage.stage,
            _with_interval(stage.measure),
            f"{previous.delta:+.3f}" if previous else "",
            f"{previous.p:.4f}" if previous else "",
            *(f"{delta:+.3f}" for delta in stage.deltas),
        )
    numbered = zip(pooled.collections, pooled.queries, strict=True)
    names = "; ".join(f"{place}: {name}, {count} queries" for place, (name, count) in enumerate(numbered, start=1))
    table.caption = f"Every query counts alike. Δ and p: against the row above, by a paired randomisation test. {names}"
    return table


def answer_table(ranked: Ranked) -> Table:
    """One row per stage: how it ended, what it cost, and the rank that it gave each of the results."""
    table = _narrow()
    table.add_column("stage")
    table.add_column("status")
    for name in ("in→out", "ms", "tokens", *(f"#{result.rank}" for result in ranked.results)):
        table.add_column(name, justify="right")
    ranks = [{place.stage: place.rank for place in result.stages} for result in ranked.results]
    for trace in ranked.trace:
        table.add_row(
            trace.stage,
            f"{trace.status} ({trace.reason})" if trace.reason else str(trace.status),
            f"{trace.candidates_in}→{trace.candidates_out}",
            _milliseconds(trace.run_time),
            str(trace.tokens) if trace.tokens else "",
            *(str(by_stage.get(trace.stage, "")) for by_stage in ranks),
        )
    return table


def _narrow(title: str | None = None) -> Table:
    """A table that wastes no column, so that a cascade of five stages fits 80 of them."""
    return Table(title=title, box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)


def _with_interval(value: Interval) -> str:
    return f"{value.mean:.3f}\n{_short(value.low)}–{_short(value.high)}"


def _difference(value: Interval) -> str:
    return f"{value.mean:+.3f}\n{value.low:+.3f} to {value.high:+.3f}"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f}" if seconds >= 0.01 else f"{seconds * 1000:.1f}"


def _statuses(figures: StageFigures) -> str:
    if set(figures.status) == {"completed"}:
        return "completed"
    return ", ".join(f"{count} {status}" for status, count in sorted(figures.status.items()))


def _short(value: float) -> str:
    """Four characters, since the whole row has to fit in 80 columns."""
    return f"{value:.3f}".removeprefix("0")[:4]

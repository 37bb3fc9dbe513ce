"""Shows evaluations and answers as tables for a terminal."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table

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


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f}" if seconds >= 0.01 else f"{seconds * 1000:.1f}"


def _statuses(figures: StageFigures) -> str:
    if set(figures.status) == {"completed"}:
        return "completed"
    return ", ".join(f"{count} {status}" for status, count in sorted(figures.status.items()))


def _short(value: float) -> str:
    """Four characters, since the whole row has to fit in 80 columns."""
    return f"{value:.3f}".removeprefix("0")[:4]

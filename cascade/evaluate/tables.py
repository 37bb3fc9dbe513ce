"""Shows evaluations and answers as tables for a terminal."""

from __future__ import annotations

from cascade_client import Ranked
from rich.table import Table

from cascade.evaluate.measures import MEASURES
from cascade.evaluate.report import Report, StageFigures
from cascade.evaluate.significance import Interval


def stages_table(report: Report) -> Table:
    """One row per stage: quality with 95 % intervals, what it adds to the stage before, and what it costs."""
    title = f"{report.collection} ({report.split}), {report.queries} queries, cascade {report.cascade!r}"
    table = Table(title=title)
    table.add_column("stage")
    for name in MEASURES:
        table.add_column(name, justify="right")
    for name in (f"Δ {MEASURES[0]}", "p", "ceiling", "in", "tokens", "ms", "status"):
        table.add_column(name, justify="right")
    for figures in report.stages:
        previous = figures.against_previous
        table.add_row(
            figures.stage.name,
            *(_with_interval(figures.measures[name]) for name in MEASURES),
            f"{previous.delta:+.3f}" if previous else "",
            f"{previous.p:.4f}" if previous else "",
            f"{figures.recall_ceiling.mean:.3f}",
            f"{figures.candidates:.0f}",
            f"{figures.tokens:.0f}",
            f"{figures.seconds * 1000:.0f}",
            _statuses(figures),
        )
    table.caption = (
        "Means with 95 % bootstrap intervals over queries. Δ and p: against the row above, by a paired "
        "randomisation test. ceiling: recall of the candidates that the stage passes on or reranks. "
        f"Judged on the first {report.top_k}."
    )
    return table


def answer_table(ranked: Ranked) -> Table:
    """One row per stage: how it ended, what it cost, and the rank that it gave each of the results."""
    table = Table()
    table.add_column("stage")
    table.add_column("status")
    for name in ("in → out", "ms", "tokens", *(f"#{result.rank}" for result in ranked.results)):
        table.add_column(name, justify="right")
    ranks = [{place.stage: place.rank for place in result.stages} for result in ranked.results]
    for trace in ranked.trace:
        table.add_row(
            trace.stage,
            f"{trace.status} ({trace.detail})" if trace.detail else str(trace.status),
            f"{trace.candidates_in} → {trace.candidates_out}",
            f"{trace.run_time * 1000:.1f}",
            str(trace.tokens) if trace.tokens else "",
            *(str(by_stage.get(trace.stage, "")) for by_stage in ranks),
        )
    return table


def _with_interval(value: Interval) -> str:
    return f"{value.mean:.3f} [{value.low:.3f}, {value.high:.3f}]"


def _statuses(figures: StageFigures) -> str:
    if set(figures.status) == {"completed"}:
        return "completed"
    return ", ".join(f"{count} {status}" for status, count in sorted(figures.status.items()))

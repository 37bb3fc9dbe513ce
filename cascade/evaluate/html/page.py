"""The page of an evaluation: its tables, charts and queries."""

from __future__ import annotations

from collections.abc import Sequence

from cascade.evaluate.collection import Collection
from cascade.evaluate.compare import SideBySide
from cascade.evaluate.html.document import document
from cascade.evaluate.html.view import view
from cascade.evaluate.report import Report
from cascade.evaluate.significance import Interval
from cascade.evaluate.through_server import Runs


def render(collection: Collection, judged: Sequence[tuple[Report, Runs]], side: SideBySide | None = None) -> str:
    """One HTML document that asks no network for anything; with `side`, of two cascades and what sets them apart."""
    reports = [report for report, _ in judged]
    return document(
        "cascade.evaluate.html",
        "report",
        view(collection, judged),
        filters={"interval": _interval, "number": _number, "seconds": _seconds, "money": _money},
        collection=collection,
        reports=reports,
        notes=list(dict.fromkeys(note for report in reports for note in report.notes)),
        side=side,
    )


def _interval(value: Interval) -> str:
    return f"{value.low:.3f} – {value.high:.3f}"


def _number(value: float) -> str:
    """A mean of counts, as exact as it is worth reading."""
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2f}"


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.0f} ms" if value >= 0.01 else f"{value * 1000:.2f} ms"


def _money(per_query: float) -> str:
    """For a thousand queries, since one costs too little to read."""
    return f"{1000 * per_query:.3f}" if per_query >= 1e-6 else "< 0.001"

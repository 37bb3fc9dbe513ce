"""Writes the page: a template, its style and script, the plotting library and the data, all in one text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from typing import Any

from cascade.evaluate.collection import Collection
from cascade.evaluate.compare import SideBySide
from cascade.evaluate.html.view import view
from cascade.evaluate.report import Report
from cascade.evaluate.significance import Interval
from cascade.evaluate.through_server import Runs


def render(collection: Collection, judged: Sequence[tuple[Report, Runs]], side: SideBySide | None = None) -> str:
    """One HTML document that asks no network for anything; with `side`, of two cascades and what sets them apart.

    Whatever comes from a collection is shown as text, never as markup: the template escapes, and the script reads its
    data from a JSON block and makes text nodes of it.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"interval": _interval, "number": _number, "seconds": _seconds, "money": _money}
    reports = [report for report, _ in judged]
    return environment.from_string(_part("report.html")).render(
        collection=collection,
        reports=reports,
        notes=list(dict.fromkeys(note for report in reports for note in report.notes)),
        side=side,
        style=Markup(_part("report.css")),
        script=Markup(_part("report.js")),
        plotly=Markup(get_plotlyjs()),
        data=Markup(_script_json(view(collection, judged))),
    )


def _script_json(data: Any) -> str:
    """JSON that cannot end the script element that it stands in."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _part(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


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

"""The page of a load test: its figures, what happened second by second, and how latencies are spread."""

from __future__ import annotations

from cascade.evaluate.html.document import document
from cascade.load.html.view import view
from cascade.load.report import Report


def render(found: Report) -> str:
    """One HTML document that asks no network for anything."""
    return document("cascade.load.html", "load", view(found), report=found)

"""What the page shows, as plain JSON values: stages with their costs, queries with what every stage ranked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from cascade.evaluate.collection import Collection
from cascade.evaluate.html.cost import costs, front
from cascade.evaluate.measures import without
from cascade.evaluate.report import Report
from cascade.evaluate.through_server import Runs

TOP = 10
"""How many results of a stage are shown for a query."""

SNIPPET = 300
"""How many characters of a document are shown."""


def view(collection: Collection, judged: Sequence[tuple[Report, Runs]]) -> dict[str, Any]:
    """Everything that the page's chart and its queries need; every cascade was asked the same queries.

    A stage here is one of one cascade; `cascade` is its place. `queries` hold for each stage, in the same order, the
    value that stages are compared by and the first results as [document, grade]: a place in `documents`, and None
    without a judgment. `further` are the ranks of relevant documents below those.
    """
    reports = [report for report, _ in judged]
    stages = [stage for place in range(len(reports)) for stage in _stages(reports, place)]
    axes = [name for name in ("seconds", "tokens", "money") if all(s["cost"][name] is not None for s in stages)]
    shown = _Documents(collection)
    runs = [without(by_stage[f.stage.name], collection.excluded) for report, by_stage in judged for f in report.stages]
    values = [f.values[report.compared_by] for report in reports for f in report.stages]
    queries = [
        {
            "id": query_id,
            "text": collection.queries[query_id],
            "relevant": sum(grade > 0 for grade in grades.values()),
            "values": [round(by_query[row], 4) for by_query in values],
            "stages": [shown.results(run.get(query_id, ()), grades) for run in runs],
        }
        for row, (query_id, grades) in enumerate(collection.qrels.items())
    ]
    return {
        "measure": reports[0].compared_by,
        "top": TOP,
        "cascades": [report.cascade for report in reports],
        "stages": stages,
        "fronts": {name: front([(s["cost"][name], s["quality"]["mean"]) for s in stages]) for name in axes},
        "documents": shown.found,
        "queries": queries,
    }


def _stages(reports: Sequence[Report], place: int) -> list[dict[str, Any]]:
    report = reports[place]
    return [
        {
            "label": f"{report.cascade}: {figures.stage.name}" if len(reports) > 1 else figures.stage.name,
            "name": figures.stage.name,
            "cascade": place,
            "kind": figures.stage.kind,
            "quality": asdict(figures.measures[report.compared_by]),
            "cost": asdict(cost),
        }
        for figures, cost in zip(report.stages, costs(report.stages), strict=True)
    ]


class _Documents:
    """Gives each document that is shown a place in `found`, once."""

    def __init__(self, collection: Collection) -> None:
        self.found: list[dict[str, str]] = []
        self._texts = {d.doc_id: (d.title, d.text) for d in collection.documents}
        self._places: dict[str, int] = {}

    def results(self, run: Sequence[str], grades: Mapping[str, int]) -> dict[str, Any]:
        """The first of a run with their grades, and the ranks of the relevant ones that follow."""
        below = enumerate(run[TOP:], start=TOP + 1)
        return {
            "top": [[self._place(doc_id), grades.get(doc_id)] for doc_id in run[:TOP]],
            "further": [rank for rank, doc_id in below if grades.get(doc_id, 0) > 0],
        }

    def _place(self, doc_id: str) -> int:
        if doc_id not in self._places:
            title, text = self._texts.get(doc_id, ("", ""))
            self._places[doc_id] = len(self.found)
            cut = text if len(text) <= SNIPPET else text[:SNIPPET].rstrip() + " …"
            self.found.append({"id": doc_id, "title": title, "text": cut})
        return self._places[doc_id]

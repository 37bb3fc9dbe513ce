"""Writes cascade.json, the Grafana dashboard of a Cascade server; with --check it says whether it is fresh.

One row per question: is it answering, where does the time go, how do candidates narrow, what falls short, who uses how
much, who waits, which versions answer, how full are the batches, what is remembered, what is indexed, is the store
there. Queries read the server's own metrics and need no recording rules.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync
from panels import choice
from serving import caches, degradation, funnel, indexes, models, requests, stages
from sharing import queues, rollouts, store, tenants

JSON_FILE = Path(__file__).with_suffix(".json")


def build() -> dashboard.Dashboard:
    """The whole dashboard."""
    board = dashboard.Dashboard("Cascade").uid("cascade-ranking").tags(["cascade"]).timezone("browser")
    board.description("Requests, time per stage, candidates, degradation and models of a Cascade server.")
    board.readonly().refresh("30s").time("now-1h", "now").tooltip(DashboardCursorSync.CROSSHAIR)
    board.with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
    board.with_variable(choice("tenant", "cascade_requests_total"))
    board.with_variable(choice("cascade", 'cascade_requests_total{tenant=~"$tenant"}'))
    numbers = count(1)
    rows = {
        "Requests": requests(),
        "Stages": stages(),
        "Candidate funnel": funnel(),
        "Degradation": degradation(),
        "Tenants": tenants(),
        "Queues": queues(),
        "Models": models(),
        "Caches": caches(),
        "Rollouts": rollouts(),
        "Indexes": indexes(),
        "Store": store(),
    }
    for title, panels in rows.items():
        board.with_row(dashboard.Row(title).id(next(numbers)))
        for panel in panels:
            board.with_panel(panel.id(next(numbers)))
    return board


def render() -> str:
    """The dashboard as Grafana reads it."""
    return JSONEncoder(sort_keys=True, indent=2).encode(build().build()) + "\n"


def main(arguments: Sequence[str] | None = None, *, file: Path = JSON_FILE) -> int:
    """Write the dashboard to `file`, or compare it with `file`: 1 when that is stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the file is stale")
    check = parser.parse_args(arguments).check
    fresh = render()
    if not check:
        file.write_text(fresh, encoding="utf-8")
        return 0
    if file.is_file() and file.read_text(encoding="utf-8") == fresh:
        return 0
    print(f"{file} is not what {Path(__file__).name} says; run that without --check", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())

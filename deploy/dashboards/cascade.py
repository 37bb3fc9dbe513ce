"""Writes cascade.json, the Grafana dashboard of a Cascade server; with --check it says whether it is fresh.

One row per question: is it answering, where does the time go, how do candidates narrow, what falls short, how
full are the batches, what is indexed. Queries read the server's own metrics and need no recording rules.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from string import ascii_uppercase

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as choices
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    VariableRefresh,
    VariableSort,
)

JSON_FILE = Path(__file__).with_suffix(".json")
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
CHOSEN = '{tenant=~"$tenant",cascade=~"$cascade"}'
ANSWERED = '{tenant=~"$tenant",cascade=~"$cascade",code="OK"}'
PASSED_ON = '{tenant=~"$tenant",cascade=~"$cascade",direction="out"}'

Query = tuple[str, str]  # a PromQL expression, and the legend of its series
Panel = bargauge.Panel | stat.Panel | timeseries.Panel


def rate(series: str, by: str) -> str:
    """Increase per second of the counter `series`, summed over all labels but `by`."""
    return f"sum by ({by}) (rate({series}[$__rate_interval]))"


def quantile(q: float, histogram: str, by: str) -> str:
    """The `q` quantile of what `histogram` observed in one rate interval."""
    return f"histogram_quantile({q}, {rate(f'{histogram}_bucket{CHOSEN}', by)})"


def mean(histogram: str, by: str, where: str = "") -> str:
    """The mean of what `histogram` observed in one rate interval."""
    return f"{rate(f'{histogram}_sum{where}', by)} / {rate(f'{histogram}_count{where}', by)}"


def describe(panel: Panel, title: str, description: str, queries: Sequence[Query], width: int) -> None:
    """Set what every kind of panel has; bars and figures show the end of the time range, lines all of it."""
    panel.title(title).description(description).datasource(SOURCE).span(width).height(8).min(0)
    for letter, (expression, legend) in zip(ascii_uppercase, queries, strict=False):
        target = prometheus.Dataquery().ref_id(letter).datasource(SOURCE).expr(expression).legend_format(legend)
        panel.with_target(target.range() if isinstance(panel, timeseries.Panel) else target.instant())


def lines(title: str, description: str, unit: str, *queries: Query, width: int = 12) -> timeseries.Panel:
    """Lines over time, with a table of each line's last and highest value."""
    legend = common.VizLegendOptions().show_legend(True).calcs(["lastNotNull", "max"])
    legend.display_mode(choices.LegendDisplayMode.TABLE).placement(choices.LegendPlacement.BOTTOM)
    tooltip = common.VizTooltipOptions().mode(choices.TooltipDisplayMode.MULTI)
    panel = timeseries.Panel().unit(unit).fill_opacity(8).legend(legend)
    panel.tooltip(tooltip.sort(choices.SortOrder.DESCENDING))
    describe(panel, title, description, queries, width)
    return panel


def stacked(panel: timeseries.Panel) -> timeseries.Panel:
    """The same lines, added up: for parts of one total."""
    return panel.stacking(common.StackingConfig().mode(choices.StackingMode.NORMAL)).fill_opacity(40)


def requests() -> list[Panel]:
    """Is it answering, and how fast?"""
    duration = "cascade_request_duration_seconds"
    return [
        stacked(
            lines(
                "Requests",
                "Answered requests per second, by gRPC status code.",
                "reqps",
                (rate(f"cascade_requests_total{CHOSEN}", "code"), "{{code}}"),
            )
        ),
        lines(
            "Request duration",
            "Time from a request's arrival to its answer.",
            "s",
            (quantile(0.5, duration, "le"), "p50"),
            (quantile(0.95, duration, "le"), "p95"),
            (quantile(0.99, duration, "le"), "p99"),
        ),
    ]


def stages() -> list[Panel]:
    """Where does the time go?"""
    duration = quantile(0.95, "cascade_stage_duration_seconds", "le, cascade, stage, kind")
    queued = quantile(0.95, "cascade_stage_queue_seconds", "le, cascade, stage")
    return [
        lines(
            "Stage duration, p95",
            "Time from a stage's start to its end, waiting included. Retrievers run side by side, the other "
            "stages one after the other.",
            "s",
            (duration, "{{cascade}} {{stage}} ({{kind}})"),
        ),
        lines(
            "Queue time, p95",
            "Time that a stage's work waited for its model. It grows when the model has more work than it can do.",
            "s",
            (queued, "{{cascade}} {{stage}}"),
        ),
    ]


def funnel() -> list[Panel]:
    """How do candidates narrow?"""
    passed_on = mean("cascade_stage_candidates", "cascade, stage", PASSED_ON)
    both_ways = mean("cascade_stage_candidates", "cascade, stage, direction", CHOSEN)
    bars = bargauge.Panel().unit("short").decimals(1).orientation(choices.VizOrientation.HORIZONTAL)
    bars.display_mode(choices.BarGaugeDisplayMode.BASIC).reduce_options(last_value())
    describe(
        bars,
        "Candidates passed on",
        "Mean number of candidates that a stage passes on, the widest stage first.",
        [(f"sort_desc({passed_on})", "{{cascade}} {{stage}}")],
        width=10,
    )
    flow = lines(
        "Candidates in and out",
        "Mean number of candidates that a stage is given and passes on. A retriever is given all that it "
        "searches, hence the logarithmic axis.",
        "short",
        (both_ways, "{{cascade}} {{stage}} {{direction}}"),
        width=14,
    )
    axis = common.ScaleDistributionConfig().type(choices.ScaleDistribution.LOG).log(10)
    return [bars, flow.min(1).scale_distribution(axis)]


def degradation() -> list[Panel]:
    """What falls short, and why? The server shows every counter at 0 from its start, hence `> 0`."""
    by_stage = rate(f"cascade_degraded_total{CHOSEN}", "tenant, cascade, stage")
    answers = rate(f"cascade_requests_total{ANSWERED}", "tenant, cascade")
    return [
        stacked(
            lines(
                "Stages that fell short",
                "Stages per second that were skipped, timed out or failed, by reason.",
                "ops",
                (
                    rate(f"cascade_degraded_total{CHOSEN}", "cascade, stage, reason") + " > 0",
                    "{{cascade}} {{stage}}: {{reason}}",
                ),
                width=8,
            )
        ),
        lines(
            "Degraded answers",
            "Share of answers without the stage that fell short most often. Several stages may fall short, each in "
            "other answers, so the true share of degraded answers is this or more.",
            "percentunit",
            (f"max by (tenant, cascade) ({by_stage}) / {answers}", "{{tenant}} {{cascade}}"),
            width=8,
        ),
        lines(
            "Documents cut short",
            "Documents per second of which a stage read only the beginning.",
            "ops",
            (
                rate(f"cascade_truncated_documents_total{CHOSEN}", "cascade, stage") + " > 0",
                "{{cascade}} {{stage}}",
            ),
            width=8,
        ),
    ]


def models() -> list[Panel]:
    """How full are the batches? Tenants share models, so the tenant chosen above does not matter here."""
    return [
        lines(
            "Batch size, mean",
            "Items that a model reads in one batch.",
            "short",
            (mean("cascade_batch_size", "model"), "{{model}}"),
            width=8,
        ),
        lines(
            "Batch tokens, mean",
            "Tokens that a model reads in one batch.",
            "short",
            (mean("cascade_batch_tokens", "model"), "{{model}}"),
            width=8,
        ),
        lines(
            "Tokens read",
            "Tokens that a model reads per second.",
            "short",
            (rate("cascade_batch_tokens_sum", "model"), "{{model}}"),
            width=8,
        ),
    ]


def indexes() -> list[Panel]:
    """What is indexed, and which server is it?"""
    documents = 'max by (tenant, index) (cascade_index_documents{tenant=~"$tenant"})'
    servers = stat.Panel().unit("short").text_mode(choices.BigValueTextMode.VALUE_AND_NAME)
    versions = [("count by (version) (cascade_build_info)", "{{version}}")]
    describe(servers.reduce_options(last_value()), "Servers", "Running servers, by version.", versions, width=6)
    return [
        lines("Documents", "Documents in each index.", "short", (documents, "{{tenant}} {{index}}"), width=18),
        servers,
    ]


def last_value() -> common.ReduceDataOptions:
    """One figure per series: its latest."""
    return common.ReduceDataOptions().calcs(["lastNotNull"])


def choice(label: str, metric: str) -> dashboard.QueryVariable:
    """A drop-down of the values of `label` on `metric`, all of them at first."""
    variable = dashboard.QueryVariable(label).label(label.capitalize()).datasource(SOURCE)
    variable.query(f"label_values({metric}, {label})").sort(VariableSort.ALPHABETICAL_ASC)
    variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
    return variable.multi(True).include_all(True).all_value(".*")


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
        "Models": models(),
        "Indexes": indexes(),
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

"""How the dashboard's panels are made: queries over the server's own metrics, and what every panel has."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.models import common as choices
from grafana_foundation_sdk.models.dashboard import DataSourceRef, VariableRefresh, VariableSort

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
TENANT = '{tenant=~"$tenant"}'
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


def last_value() -> common.ReduceDataOptions:
    """One figure per series: its latest."""
    return common.ReduceDataOptions().calcs(["lastNotNull"])


def choice(label: str, metric: str) -> dashboard.QueryVariable:
    """A drop-down of the values of `label` on `metric`, all of them at first."""
    variable = dashboard.QueryVariable(label).label(label.capitalize()).datasource(SOURCE)
    variable.query(f"label_values({metric}, {label})").sort(VariableSort.ALPHABETICAL_ASC)
    variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
    return variable.multi(True).include_all(True).all_value(".*")

"""A load test as people read it on a terminal."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cascade.load.phase import Phase, percentile
from cascade.load.reply import Outcome
from cascade.load.report import Report

_KINDS = [Outcome.CHEAPER, Outcome.DEGRADED, Outcome.REFUSED, Outcome.EXPIRED, Outcome.FAILED, Outcome.UNSENT]
"""What is shown beside good answers, where there is any."""


def render(found: Report) -> RenderableType:
    """Its figures, its phases and a verdict."""
    return Group(_figures(found), _phases(found), verdict(found))


def verdict(found: Report) -> Text:
    """Whether the figures may be believed, and what speaks against them."""
    if found.valid:
        return Text("valid: the generator kept up, and nothing else speaks against these figures", style="green")
    return Text("\n".join(["not valid:", *(f"  {problem}" for problem in found.problems)]), style="yellow")


def _figures(found: Report) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(found.scenario, overflow="fold")
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("", style="dim", overflow="fold")
    for row in found.rows:
        table.add_row(row.name, row.value, row.remark)
    return table


def _phases(found: Report) -> Table:
    kinds = [kind for kind in _KINDS if any(phase.counts()[kind] for phase in found.phases)]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("phase", overflow="fold")
    for name in ("s", "asked/s", "good/s", *(kind.value for kind in kinds), "p50 ms", "p95 ms", "p99 ms"):
        table.add_column(name, justify="right", no_wrap=True)
    for phase in found.phases:
        flows = sorted({reply.flow for reply in phase.replies})
        for place, flow in enumerate(flows):
            label = phase.label if len(flows) == 1 else f"{phase.label}: {flow}" if not place else f"  {flow}"
            table.add_row(label, *_cells(phase, flow, kinds))
    return table


def _cells(phase: Phase, flow: str, kinds: list[Outcome]) -> list[str]:
    counts, offered = phase.counts(flow), phase.offered.get(flow)
    times = [percentile(phase.answered(flow), p) for p in (50, 95, 99)]
    return [
        f"{phase.seconds:.0f}",
        f"{offered:.1f}" if offered else "",
        f"{phase.goodput(flow):.1f}",
        *(f"{counts[kind]:,}" if counts[kind] else "" for kind in kinds),
        *("-" if seconds is None else f"{seconds * 1e3:.1f}" for seconds in times),
    ]

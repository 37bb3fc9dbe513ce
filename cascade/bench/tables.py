"""A bench as people read it on a terminal."""

from __future__ import annotations

import json

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cascade.bench.measure import Goal, Speed
from cascade.bench.result import Result

_STYLES = {"aim": "green", "floor": "yellow", "neither": "red"}
_VERDICTS = {"aim": "aim met", "floor": "floor met", "neither": "not met", "": ""}


def render(found: Result) -> RenderableType:
    """Speeds, ratios, checks, quality and notes."""
    parts: list[RenderableType] = [_speeds(found), _ratios(found)]
    if found.checks:
        parts.append(_checks(found))
    if found.quality:
        parts.append(Text(f"quality: {json.dumps(found.quality, ensure_ascii=False)}"))
    parts += [Text(f"note: {note}", style="dim") for note in found.notes]
    return Group(*parts)


def _speeds(found: Result) -> Table:
    table = _table(found.name, "version", "median", "rounds", "", numbers=(2, 3))
    each = {speed.name: speed for speed in (found.ours, *found.also, *(peer.speed for peer in found.peers))}
    for speed in each.values():
        table.add_row(speed.name, speed.version, _amount(speed.median, speed), _spread(speed), speed.detail)
    return table


def _ratios(found: Result) -> Table:
    table = _table("ours", "against", "times as fast", "floor, aim", "", numbers=(2, 3))
    for peer in found.peers:
        ratio = peer.ratio
        table.add_row(
            peer.ours,
            peer.speed.name,
            f"{ratio.value:.2f} ({ratio.low:.2f} – {ratio.high:.2f})",
            _goal(peer.goal),
            _verdict(peer.met),
        )
    return table


def _checks(found: Result) -> Table:
    table = _table("", "found", "floor, aim", "", numbers=(1, 2))
    for check in found.checks:
        known = check.low is not None and check.high is not None
        interval = f"({check.low:.4g} – {check.high:.4g})" if known else ""
        value = " ".join(part for part in (f"{check.value:.4g}", check.unit, interval) if part)
        table.add_row(check.name, value, _goal(check.goal), _verdict(check.met))
    return table


def _goal(goal: Goal | None) -> str:
    return "" if goal is None else f"{goal.floor:.4g}, {goal.aim:.4g}"


def _verdict(met: str) -> Text:
    return Text(_VERDICTS[met], style=_STYLES.get(met, ""))


def _amount(value: float, speed: Speed) -> str:
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2}f} {speed.unit}"


def _spread(speed: Speed) -> str:
    slowest, fastest = speed.spread
    return f"{slowest:,.4g} – {fastest:,.4g}"


def _table(*columns: str, numbers: tuple[int, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, column in enumerate(columns):
        number = place in numbers
        table.add_column(column, justify="right" if number else "left", overflow="fold", no_wrap=number)
    return table

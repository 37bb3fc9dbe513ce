"""What the page's charts show, as plain JSON values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from cascade.bench.result import Result


def view(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Of each bench its ratios with their goals, and the speed of everything that took part."""
    return [{"name": result.name, "ratios": _ratios(result), "speeds": _speeds(result)} for result in results]


def rows(quality: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested figures as (name, value) lines, the names of what they are in before their own."""
    found = []
    for name, value in quality.items():
        full = f"{prefix} / {name}" if prefix else name
        if isinstance(value, Mapping):
            found += rows(value, full)
        elif isinstance(value, list | tuple) and any(isinstance(one, Mapping) for one in value):
            for place, one in enumerate(value):
                inner = one if isinstance(one, Mapping) else {"": one}
                found += rows({k: v for k, v in inner.items() if k != "name"}, f"{full} / {inner.get('name', place)}")
        else:
            found.append((full, f"{value:.5g}" if isinstance(value, float) else str(value)))
    return found


def _ratios(result: Result) -> list[dict[str, Any]]:
    counts = Counter(peer.speed.name for peer in result.peers)
    return [
        {
            "label": f"{peer.speed.name} ({peer.ours})" if counts[peer.speed.name] > 1 else peer.speed.name,
            "median": peer.ratio.value,
            "low": peer.ratio.low,
            "high": peer.ratio.high,
            "rounds": peer.ratio.rounds,
            "floor": None if peer.goal is None else peer.goal.floor,
            "aim": None if peer.goal is None else peer.goal.aim,
            "met": peer.met,
        }
        for peer in result.peers
    ]


def _speeds(result: Result) -> list[dict[str, Any]]:
    ours = [result.ours, *result.also]
    each = {speed.name: (speed, speed in ours) for speed in (*ours, *(peer.speed for peer in result.peers))}
    return [
        {
            "label": speed.name,
            "ours": own,
            "unit": speed.unit,
            "median": speed.median,
            "low": speed.spread[0],
            "high": speed.spread[1],
        }
        for speed, own in each.values()
    ]

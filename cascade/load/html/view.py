"""What the page's charts show, as plain JSON values: every phase by second, every flow's latencies by percentile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cascade.load.latencies import Latencies
from cascade.load.phase import Phase
from cascade.load.reply import Outcome
from cascade.load.report import Report

_STEPS = (0, 10, 25, 50, 60, 70, 80, 85, 90, 92.5, 95, 96, 97, 98, 98.5, 99, 99.5, 99.7, 99.9, 99.95, 99.99)


def view(found: Report) -> dict[str, Any]:
    """The phases in order, with the seconds at which each began, counted from the first."""
    begin = found.phases[0].started if found.phases else 0.0
    return {
        "outcomes": [outcome.value for outcome in Outcome],
        "phases": [
            {"label": phase.label, "started": round(phase.started - begin, 3), "flows": _flows(phase)}
            for phase in found.phases
        ],
        "spreads": [{"name": name, "points": spread(latencies)} for name, latencies in _pooled(found.phases).items()],
    }


def _pooled(phases: Sequence[Phase]) -> dict[str, list[float]]:
    """The latencies of answers, those of all rounds of a phase together, for each of its flows."""
    found: dict[str, list[float]] = {}
    for phase in phases:
        flows = sorted({reply.flow for reply in phase.replies})
        for flow in flows:
            name = f"{phase.label.partition(',')[0]}: {flow}" if len(flows) > 1 else phase.label
            found.setdefault(name, []).extend(phase.answered(flow))
    return found


def _flows(phase: Phase) -> list[dict[str, Any]]:
    return [{"name": name, **timeline(phase, name)} for name in sorted({reply.flow for reply in phase.replies})]


def timeline(phase: Phase, flow: str) -> dict[str, Any]:
    """By second of a phase: how many requests that should have been sent then ended how, and the slowest percentiles.

    `p50` and `p99` are seconds that answers took, None in a second without any.
    """
    by_second: dict[int, list[int]] = {}
    answered: dict[int, list[float]] = {}
    order = {outcome: place for place, outcome in enumerate(Outcome)}
    for reply in phase.of(flow):
        second = int(reply.intended - phase.started)
        by_second.setdefault(second, [0] * len(order))[order[reply.outcome]] += 1
        if reply.answer:
            answered.setdefault(second, []).append(reply.latency)
    seconds = range(max(by_second, default=-1) + 1)
    each = [Latencies(answered.get(second, ())) for second in seconds]
    return {
        "counts": [by_second.get(second, [0] * len(order)) for second in seconds],
        "p50": [latencies.percentile(50) for latencies in each],
        "p99": [latencies.percentile(99) for latencies in each],
    }


def spread(latencies: list[float]) -> list[tuple[float, float]]:
    """(percentile, seconds) up to the last percentile that these are enough for."""
    found, count = Latencies(latencies), len(latencies)
    steps = [percent for percent in _STEPS if count * (100 - percent) > 100 - 1e-6]
    each = [(percent, found.percentile(percent)) for percent in steps]
    return [(percent, seconds) for percent, seconds in each if seconds is not None]

"""What a load test found, and whether it may be believed."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cascade.evaluate.ratio import Ratio
from cascade.load.latencies import Latencies
from cascade.load.phase import Phase
from cascade.load.reply import Outcome

Figure = float | int | None

PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table for people: what was measured and how it looks, with a remark."""

    name: str
    value: str
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A scenario's figures; valid exactly when `problems` is empty, and every figure is there."""

    scenario: str
    figures: Mapping[str, Figure]
    problems: tuple[str, ...]
    phases: Sequence[Phase]
    evidence: Mapping[str, Any] = field(default_factory=dict)
    rows: Sequence[Row] = ()

    @property
    def valid(self) -> bool:
        """Whether nothing speaks against the figures."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """The figures, whether they are valid, and all that they rest on."""
        return {
            "scenario": self.scenario,
            **self.figures,
            "valid": self.valid,
            "problems": list(self.problems),
            "evidence": {**self.evidence, "phases": [phase_json(phase) for phase in self.phases]},
        }


def report(
    scenario: str,
    figures: Mapping[str, Figure],
    problems: Sequence[str],
    phases: Sequence[Phase],
    evidence: Mapping[str, Any],
    rows: Sequence[Row] = (),
) -> Report:
    """A report in which a figure that could not be had is a problem."""
    missing = [f"{name} could not be measured" for name, value in figures.items() if value is None]
    everything = tuple(dict.fromkeys([*problems, *missing]))
    return Report(scenario, figures, everything, phases, {"python": platform.python_version(), **evidence}, rows)


def phase_json(phase: Phase) -> dict[str, Any]:
    """A phase in figures, with a histogram of each flow's answers."""
    return {
        "label": phase.label,
        "seconds": phase.seconds,
        "deadline_seconds": phase.deadline,
        "send_delay_seconds": percentiles([r.delay for r in phase.replies if r.outcome is not Outcome.UNSENT]),
        "flows": {
            name: _flow_json(phase, name) for name in sorted({r.flow for r in phase.replies} | set(phase.offered))
        },
    }


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Of latencies in seconds: each percentile, and the number of them."""
    found = Latencies(seconds)
    each = {f"p{percent:g}": found.percentile(percent) for percent in PERCENTILES}
    return {"count": len(found), **{name: value for name, value in each.items() if value is not None}}


def ratio_json(found: Ratio | None) -> dict[str, Any] | None:
    """A ratio with its interval and rounds."""
    return (
        None if found is None else {"value": found.value, "low": found.low, "high": found.high, "rounds": found.rounds}
    )


def _flow_json(phase: Phase, flow: str) -> dict[str, Any]:
    return {
        "offered_per_second": phase.offered.get(flow),
        "requests": len(phase.of(flow)),
        "outcomes": phase.counts(flow),
        "refused_because": phase.reasons(Outcome.REFUSED, flow),
        "cheaper_because": phase.reasons(Outcome.CHEAPER, flow),
        "degraded_because": phase.reasons(Outcome.DEGRADED, flow),
        "failed_because": phase.reasons(Outcome.FAILED, flow),
        "goodput_per_second": phase.goodput(flow),
        "tokens_per_second": sum(r.tokens for r in phase.of(flow)) / phase.seconds,
        "answered_seconds": percentiles(phase.answered(flow)),
        "queued_seconds": percentiles([r.queued for r in phase.of(flow) if r.answer]),
        "refused_seconds": percentiles(phase.latencies(Outcome.REFUSED, flow=flow)),
        "answered_histogram_microseconds": Latencies(phase.answered(flow)).encoded(),
    }

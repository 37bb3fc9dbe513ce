"""Whether a tier may run: decided from the time left and what the tier is expected to take."""

from __future__ import annotations

from dataclasses import dataclass

from cascade.budget import Budget
from cascade.trace import Reason


@dataclass(frozen=True, slots=True)
class Run:
    """The tier runs within `budget`."""

    budget: Budget


@dataclass(frozen=True, slots=True)
class Skip:
    """The tier does not run, and why."""

    reason: Reason
    detail: str


Decision = Run | Skip


def busy() -> Skip:
    """The decision about a tier that the server has no room for."""
    return Skip(Reason.OVERLOADED, "the server was busy: admitted without this tier")


def decide(budget: Budget, *, max_seconds: float | None, estimate: float) -> Decision:
    """Run while there is time and the estimate fits in it; else say which of the two was missing.

    `budget` is what the tiers together may still take, `max_seconds` the tier's own limit, `estimate` the seconds that
    it is expected to take, 0 when nothing is known.
    """
    allowed = budget.at_most(max_seconds)
    left = allowed.remaining
    if left <= 0:
        return Skip(Reason.NO_TIME, "no time is left for this tier; allow a larger budget")
    if estimate > left:
        return Skip(Reason.TOO_COSTLY, f"expected to take {estimate * 1e3:.1f} ms with {left * 1e3:.1f} ms left")
    return Run(allowed)

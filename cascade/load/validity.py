"""Whether a measurement may be believed: what speaks against it, in words."""

from __future__ import annotations

from collections.abc import Sequence

from cascade.load.phase import Phase, percentile
from cascade.load.reply import Outcome

LAG_SHARE = 0.1
LAG_FLOOR = 0.002
"""Send delays may reach this share of the latency that is reported, or so many seconds, whichever is more."""

TAIL = 5
"""How many requests must lie beyond a percentile that is reported."""

DRIFT = 0.2
"""By how much of itself capacity may change from the beginning of a run to its end."""

FOREIGN = 0.15
"""What share of the machine's processors other programs may use meanwhile."""


def lag(phases: Sequence[Phase], reported: float | None) -> list[str]:
    """What is wrong if the generator did not send when it meant to; `reported` is the least latency of interest."""
    problems = []
    delays = [r.delay for phase in phases for r in phase.replies if r.outcome is not Outcome.UNSENT]
    unsent = sum(phase.counts()[Outcome.UNSENT] for phase in phases)
    if unsent:
        problems.append(
            f"the generator could not send {unsent} of {len(delays) + unsent} requests before their deadline"
        )
    late, bound = percentile(delays, 99), max(LAG_FLOOR, LAG_SHARE * (reported or 0.0))
    if late is not None and late > bound:
        problems.append(
            f"the generator lagged: p99 of its send delay is {late * 1e3:.1f} ms, at most {bound * 1e3:.1f} is allowed"
        )
    return problems


def sample(what: str, count: int, percent: float) -> list[str]:
    """What is wrong if `count` values are too few for the percentile `percent` of them."""
    needed = round(TAIL / (1 - percent / 100))
    if count >= needed:
        return []
    return [f"{what}: {count} requests are too few for p{percent:g}, which needs {needed}; measure longer"]


def drift(capacities: Sequence[float]) -> list[str]:
    """What is wrong if the machine became faster or slower on the way; `capacities` in the order measured."""
    if len(capacities) < 2 or min(capacities) <= 0:
        return ["capacity could not be measured: too few answers; measure longer"]
    changed = max(capacities) / min(capacities) - 1
    if changed <= DRIFT:
        return []
    listed = ", ".join(f"{c:.1f}" for c in capacities)
    return [f"capacity changed by {changed:.0%} on the way ({listed} a second), at most {DRIFT:.0%} is allowed"]


def foreign(share: float | None) -> list[str]:
    """What is wrong if other programs kept the machine busy; None where that cannot be known."""
    if share is None or share <= FOREIGN:
        return []
    return [f"other programs used {share:.0%} of the processors, at most {FOREIGN:.0%} is allowed"]


def failures(phases: Sequence[Phase]) -> list[str]:
    """What is wrong if requests failed that were neither refused nor out of time."""
    reasons: dict[str, int] = {}
    for phase in phases:
        for reason, count in phase.reasons(Outcome.FAILED).items():
            reasons[reason] = reasons.get(reason, 0) + count
    if not reasons:
        return []
    listed = ", ".join(f"{reason} {count} times" for reason, count in reasons.items())
    return [f"requests failed: {listed}"]

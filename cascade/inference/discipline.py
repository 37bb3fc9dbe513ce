"""What a queue refuses, so that it stays short and nobody fills it against the others: pure arithmetic."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

from cascade.inference.line import Drop, Entry, Line, Reason

T = TypeVar("T")

PATIENCE = 0.5
"""Of the time that a caller gave, the part that its work may wait for a first turn while its line stands."""
INTERVAL = 0.5
"""Seconds for which the head of a line must have waited too long before the line stands and is no mere burst."""


def overdue(line: Line[T], others: Collection[Line[T]], now: float) -> list[Drop[T]]:
    """What is to be refused of `line` because it stands; `others` are the lines of its class, itself among them.

    A line stands when its head has been waiting too long for a whole interval (Nichols and Jacobson, 2012,
    "Controlling queue delay"). A dropped packet slows its sender down, so that few suffice; a refused request does
    not, so all go that have waited too long, as in Maurer, 2015, "Fail at scale". What is too long follows from the
    caller's deadline: work without one may wait for ever. The last entry stays, so that the model is never idle for
    it, and so do all of a line that holds less than its account's share of what waits.
    """
    fresh = line.fresh()
    late = [entry for entry in fresh if now - entry.arrived > PATIENCE * (entry.deadline - entry.arrived)]
    if not late or late[0] is not fresh[0]:
        line.late_since = None
        return []
    if line.late_since is None:
        line.late_since = now
    share = sum(one.tokens for one in others) / sum(one.account.weight for one in others if one.tokens)
    if now - line.late_since < INTERVAL or line.holds() < share:
        return []
    return [Drop(entry, Reason.STANDING) for entry in late[: len(fresh) - 1]]


def pushed_out(newcomer: Entry[T], own: Line[T], lines: Collection[Line[T]], tokens: int) -> list[Drop[T]]:
    """What goes for want of room, of `tokens` or one place: the newest of the line that holds most for its weight.

    That is a line of the lowest class. It is the newcomer itself that goes where there is no line below its own class,
    or of its class one that holds more than its own would (longest queue drop; McKenney, 1991, "Stochastic fairness
    queueing").
    """
    fullest = max((line for line in lines if line.fresh()), key=_fullness, default=own)
    drops: list[Drop[T]] = []
    freed = 0
    for entry in sorted(fullest.fresh(), key=lambda entry: -entry.place[1]):
        lower = fullest.account.priority > own.account.priority
        same = fullest.account.priority == own.account.priority
        if not (lower or (same and fullest.holds(-freed) > own.holds(newcomer.tokens))):
            break
        drops.append(Drop(entry, Reason.PUSHED_OUT))
        freed += entry.tokens
        if freed >= tokens:
            return drops
    return [Drop(newcomer, Reason.FULL)]


def _fullness(line: Line[T]) -> tuple[int, float]:
    return line.account.priority, line.holds()

"""Changes of configuration, and which answers contradict them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cascade.load.reply import Reply

Subject = tuple[str, str]
"""A tenant's cascade."""


@dataclass(frozen=True, slots=True)
class Change:
    """A version that was put and activated.

    `asked` and `acknowledged` are when activation was asked for and answered, on the monotonic clock; `effects` the
    seconds from then until each server answered by it.
    """

    subject: Subject
    version: int
    config_hash: str
    asked: float
    acknowledged: float
    effects: Mapping[str, float] = field(default_factory=dict)


def wrong_versions(changes: Sequence[Change], replies: Iterable[tuple[str, Reply]], bound: float) -> list[str]:
    """What is wrong with each answer that contradicts the changes; `replies` are (tenant, reply), answers only.

    An answer is wrong if its version and hash do not belong together, if the version was not yet to be activated, or if
    when it was asked for a later version had been acknowledged more than `bound` seconds ago.
    """
    each = {(change.subject, change.version): change for change in changes}
    in_order: dict[Subject, list[Change]] = {}
    for change in sorted(changes, key=lambda change: change.acknowledged):
        in_order.setdefault(change.subject, []).append(change)
    times = {subject: [change.acknowledged for change in made] for subject, made in in_order.items()}
    found = []
    for tenant, reply in replies:
        subject = tenant, reply.cascade
        due = bisect_right(times.get(subject, []), reply.sent - bound)
        newest = in_order[subject][due - 1] if due else None
        problem = _problem(reply, each.get((subject, reply.version)), newest)
        if problem:
            found.append(f"{tenant}/{reply.cascade} on {reply.target}: {problem}")
    return found


def _problem(reply: Reply, own: Change | None, newest: Change | None) -> str:
    """Of an answer by `own`, asked for when `newest` had to be in effect."""
    if own is None:
        return f"version {reply.version} was never put"
    if own.config_hash != reply.config_hash:
        return f"version {reply.version} has the hash {own.config_hash}, found {reply.config_hash}"
    if reply.done < own.asked:
        return f"version {reply.version} answered before it was activated"
    if newest is not None and reply.version < newest.version:
        late = reply.sent - newest.acknowledged
        return f"version {reply.version} answered {late:.2f} s after {newest.version} was acknowledged"
    return ""

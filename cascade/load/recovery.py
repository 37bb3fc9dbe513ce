"""When a server that was overloaded is back to what it was."""

from __future__ import annotations

from collections.abc import Sequence

from cascade.load.reply import Reply

ALLOWED = 0.01


def recovery_seconds(
    replies: Sequence[Reply], end_of_load: float, normal: float, *, window: float = 1.0
) -> float | None:
    """Seconds from `end_of_load` to the first moment whose next `window` seconds of requests are as normal.

    A window is normal when at most 1 % of its requests, rounded to the nearest number, took more than `normal` seconds
    or got no good answer: its p99 is back. Requests count by their intended time. None if no whole window is normal.
    """
    after = sorted((r for r in replies if r.intended >= end_of_load), key=lambda r: r.intended)
    if not after:
        return None
    last = after[-1].intended
    for first, reply in enumerate(after):
        start = end_of_load if first == 0 else reply.intended
        if start + window > last + 1e-9 and first:
            return None
        inside = [r for r in after[first:] if r.intended < start + window]
        late = sum(not r.good or r.latency > normal for r in inside)
        if late <= round(ALLOWED * len(inside)):
            return start - end_of_load
    return None

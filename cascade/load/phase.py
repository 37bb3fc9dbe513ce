"""A stretch of load and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from cascade.load.latencies import Latencies
from cascade.load.reply import ANSWERS, Outcome, Reply


@dataclass(frozen=True, slots=True)
class Phase:
    """The requests of `seconds` seconds from `started` on the monotonic clock, whenever they ended.

    `offered` is the rate of each flow, `ends` when each stopped, from the start. `deadline` is what each request was
    given, in seconds from its intended time.
    """

    label: str
    started: float
    seconds: float
    deadline: float
    offered: dict[str, float] = field(default_factory=dict)
    replies: Sequence[Reply] = ()
    ends: dict[str, float] = field(default_factory=dict)

    def of(self, flow: str | None) -> list[Reply]:
        """The replies of one flow, or all."""
        return [reply for reply in self.replies if flow is None or reply.flow == flow]

    def counts(self, flow: str | None = None) -> dict[str, int]:
        """How many ended how."""
        found = Counter(reply.outcome for reply in self.of(flow))
        return {outcome.value: found[outcome] for outcome in Outcome}

    def reasons(self, outcome: Outcome, flow: str | None = None) -> dict[str, int]:
        """Why, of those that ended so."""
        return dict(Counter(reply.reason for reply in self.of(flow) if reply.outcome is outcome).most_common())

    def goodput(self, flow: str | None = None) -> float:
        """Good answers within the deadline, per second."""
        return sum(reply.good and reply.latency <= self.deadline for reply in self.of(flow)) / self.seconds

    def latencies(self, *outcomes: Outcome, flow: str | None = None) -> list[float]:
        """Seconds from the intended time of those that ended so."""
        return [reply.latency for reply in self.of(flow) if reply.outcome in outcomes]

    def answered(self, flow: str | None = None) -> list[float]:
        """The latencies of all that were answered, degraded or not."""
        return self.latencies(*ANSWERS, flow=flow)

    def waited(self, flow: str | None = None) -> list[float]:
        """The latencies of all that were not refused; what was cut by its deadline waited that long."""
        return self.answered(flow) + [self.deadline] * self.counts(flow)[Outcome.EXPIRED]

    def felt(self, flow: str | None = None) -> list[float]:
        """The latencies of all; whoever got no good answer, for whatever reason, is as badly off as at the deadline."""
        replies = self.of(flow)
        return [reply.latency if reply.good else max(self.deadline, reply.latency) for reply in replies]


def throughput(replies: Iterable[Reply], start: float, end: float) -> float:
    """Answers that are not degraded, per second, by their ends within [start, end]; 0 of fewer than two.

    Counted from the first end to the last, so that what is in progress at the edges does not matter.
    """
    ends = sorted(r.done for r in replies if r.outcome is Outcome.ANSWERED and start <= r.done <= end)
    return (len(ends) - 1) / (ends[-1] - ends[0]) if len(ends) > 1 and ends[-1] > ends[0] else 0.0


def percentile(seconds: Iterable[float], percent: float) -> float | None:
    """Of latencies, by an HDR histogram; None of none."""
    return Latencies(seconds).percentile(percent)

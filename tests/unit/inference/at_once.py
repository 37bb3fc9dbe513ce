"""When jobs would end if all accounts were served at the same time: what a queue is held against."""

import math
from dataclasses import dataclass

from hypothesis import strategies as st


@dataclass
class Job:
    """So many tokens for an account, wanted from when that many were run."""

    account: int
    size: int
    arrival: int
    left: float = 0.0


def shared_at_once(jobs: list[Job], weights: list[float]) -> list[float]:
    """When each job ends if all accounts are served at the same time by weight, each account's jobs in order."""
    ends, now = [math.inf] * len(jobs), 0.0
    for job in jobs:
        job.left = job.size
    while waiting := [n for n in range(len(jobs)) if ends[n] == math.inf]:
        heads: dict[int, int] = {}
        for n in waiting:
            if jobs[n].arrival <= now + 1e-9:
                heads.setdefault(jobs[n].account, n)
        total = sum(weights[account] for account in heads)
        until = [jobs[n].arrival - now for n in waiting if jobs[n].arrival > now + 1e-9]
        passed = min([*until, *(jobs[n].left * total / weights[account] for account, n in heads.items())])
        now += passed
        for account, n in heads.items():
            jobs[n].left -= passed * weights[account] / total
            if jobs[n].left <= 1e-6:
                ends[n] = now
    return ends


def _by_arrival(jobs: list[Job]) -> list[Job]:
    """As they come, and in their order where they come together."""
    return sorted(jobs, key=lambda job: job.arrival)


jobs = st.lists(
    st.builds(Job, st.integers(0, 3), st.integers(1, 60), st.integers(0, 200)), min_size=1, max_size=15
).map(_by_arrival)
weights = st.lists(st.sampled_from([1.0, 2.0]), min_size=4, max_size=4)

"""What a load test is told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """`seconds` is how long the load that a scenario is about lasts in each of `rounds` rounds.

    `deadline` is in seconds from a request's intended time. `cascade` is the YAML of the cascade, empty for the
    scenario's own; `threads` is what a server's models compute with.

    Of `isolation`: the shares of capacity that the victim asks for and that the aggressor may use. Of `reload`: how
    many `changes` are made while so many `processes` serve; its `seconds` are the most that it may take.
    """

    seconds: float
    rounds: int
    seed: int = 0
    deadline: float = 5.0
    threads: int = 1
    cascade: str = ""
    concurrency: int = 4
    victim_share: float = 0.2
    quota_share: float = 0.1
    changes: int = 1000
    processes: int = 2

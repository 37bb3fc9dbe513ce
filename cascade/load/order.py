"""What the generator's process is told to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cascade.load.schedule import Flow

Pools = Mapping[str, Sequence[bytes]]
"""Requests by name of the pool, each a RankRequest as it goes over the wire."""


@dataclass(frozen=True, slots=True)
class Open:
    """Send the flows' requests at their times from `start` on, whatever becomes of them.

    `deadline` is in seconds from the intended time of each request.
    """

    flows: tuple[Flow, ...]
    start: float
    seconds: float
    deadline: float
    seed: int


@dataclass(frozen=True, slots=True)
class Closed:
    """Keep `concurrency` requests of one flow in progress from `start` on: how much is done tells the capacity."""

    flow: Flow
    start: float
    seconds: float
    deadline: float
    concurrency: int


Order = Open | Closed

"""When requests arrive, decided before the first is sent, so that a slow server cannot slow them down."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Arrivals = Literal["poisson", "uniform"]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Flow:
    """Requests of one tenant to one server, `rate` of them a second from `begin` to `end` seconds after the start.

    `metadata` is what every call carries; `pool` names the requests to draw from. `cheaper` says whether their cascade
    allows a busy server to do less.
    """

    name: str
    target: str
    pool: str
    rate: float
    metadata: tuple[tuple[str, str], ...] = ()
    arrivals: Arrivals = "poisson"
    begin: float = 0.0
    end: float = math.inf
    cheaper: bool = False


@dataclass(frozen=True, slots=True)
class Schedule:
    """Arrivals in order: `at` (n,) seconds from the start, `flow` (n,) whose each is, `draw` (n,) from [0, 1)."""

    at: Floats
    flow: NDArray[np.int64]
    draw: Floats

    def __len__(self) -> int:
        return len(self.at)


def times(rate: float, seconds: float, arrivals: Arrivals, random: np.random.Generator) -> Floats:
    """Arrivals within [0, `seconds`), `rate` a second on average or, if uniform, exactly and with a random phase."""
    if rate <= 0 or seconds <= 0:
        return np.empty(0)
    if arrivals == "uniform":
        return np.arange(random.random() / rate, seconds, 1 / rate)
    # Given how many there are, the arrivals of a Poisson process are independent and uniform.
    return np.sort(random.uniform(0.0, seconds, random.poisson(rate * seconds)))


def schedule(flows: Sequence[Flow], seconds: float, seed: int) -> Schedule:
    """The arrivals of all flows over `seconds`. A flow's depend on `seed`, its name and its rate, on no other flow."""
    each = [(np.empty(0), np.empty(0, np.int64), np.empty(0))]
    for number, flow in enumerate(flows):
        random = np.random.default_rng([seed, zlib.crc32(flow.name.encode())])
        at = flow.begin + times(flow.rate, min(seconds, flow.end) - flow.begin, flow.arrivals, random)
        each.append((at, np.full(len(at), number), random.random(len(at))))
    at, flow_of, draw = (np.concatenate(column) for column in zip(*each, strict=True))
    order = np.argsort(at, kind="stable")
    return Schedule(at[order], flow_of[order], draw[order])

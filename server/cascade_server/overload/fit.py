"""Whether a request's stages end in time on a server as busy as it is, and what to leave out so that they do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from cascade.inference.discipline import PATIENCE
from cascade_server.overload.estimate import Work

_FEWEST = 2
"""Candidates that are worth a tier's while."""


class Reason(StrEnum):
    """Why a request is refused: a bounded set, fit for a metric label."""

    STARTING = "starting"
    CONCURRENCY = "concurrency"
    RATE = "rate"
    DEPTH = "depth"
    DOCUMENTS = "documents"
    REQUEST_TOKENS = "request_tokens"
    EXPECTED_LATE = "expected_late"
    ADAPTIVE_LIMIT = "adaptive_limit"


@dataclass(frozen=True, slots=True)
class Place:
    """A stage's work and what it meets: `ahead` tokens before it, of which `limit` may be, at `rate` seconds each.

    `pace` is the time that stages at its model did take over what was foretold.
    """

    work: Work
    ahead: float = 0.0
    rate: float = 0.0
    limit: float = math.inf
    pace: float = 1.0

    @property
    def seconds_per_token(self) -> float:
        """As experience corrects it."""
        return self.rate * self.pace

    @property
    def wait(self) -> float:
        """Seconds until its model comes to it."""
        return self.ahead * self.seconds_per_token

    @property
    def run(self) -> float:
        """Seconds that its own work takes."""
        return self.work.tokens * self.seconds_per_token


@dataclass(frozen=True, slots=True)
class Late:
    """The request does not fit, by `seconds`, for want of room at the model of `stage`."""

    reason: Reason
    stage: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds that are left for the whole answer, and for its tiers; and the longest wait that is admitted."""

    answer: float = math.inf
    tiers: float = math.inf
    wait: float = math.inf


def fit(places: Sequence[Place], times: Times, *, cheaper: bool) -> dict[str, int] | Late:
    """The depths of those tiers that must see fewer candidates, or why the request is better refused.

    It is late when the server's load makes it so: a stage that would find no time on an idle server either is no
    reason, for it is skipped when its turn comes. Retrievers run side by side and then the tiers one by one; without
    what they find there is no answer, so that only tiers can be left out. With `cheaper` they are, those that come
    first having the first say.
    """
    first = [place for place in places if not place.work.tier]
    idle = max((place.run for place in first), default=0.0)
    busy = max((place.wait + place.run for place in first), default=0.0)
    for place in first:
        left = times.answer if idle <= times.answer else math.inf
        if (late := _late(place, times.wait, left)) is not None:
            return late
    depths: dict[str, int] = {}
    end, narrowest = min(times.answer, times.tiers), 2**31
    for place in places:
        if not place.work.tier:
            continue
        most = math.inf if place.work.most_seconds is None else place.work.most_seconds
        if place.run > min(end - idle, most):
            continue
        idle += place.run
        left = min(end - busy, most)
        if not cheaper and (late := _late(place, times.wait, left)) is not None:
            return late
        depth = min(narrowest, _depth(place, times.wait, left)) if cheaper else place.work.depth
        if depth < place.work.depth:
            depths[place.work.stage] = depth
        if depth:
            busy += place.wait + place.work.at(depth).tokens * place.seconds_per_token
            narrowest = min(narrowest, depth)
    return depths


def _late(place: Place, longest_wait: float, left: float) -> Late | None:
    """Why the whole of it should not be waited for."""
    stage = place.work.stage
    if place.ahead > place.limit:
        return Late(Reason.ADAPTIVE_LIMIT, stage, (place.ahead - place.limit) * place.seconds_per_token)
    over = max(place.wait - _patience(longest_wait, left), place.wait + place.run - left)
    return Late(Reason.EXPECTED_LATE, stage, over) if over > 0 else None


def _depth(place: Place, longest_wait: float, left: float) -> int:
    """The most candidates that there is room and time for, none where that is too few."""
    if place.wait > _patience(longest_wait, left):
        return 0
    room = max(0.0, place.limit - place.ahead) if place.ahead > 0 else math.inf
    rate = place.seconds_per_token
    time = max(0.0, left - place.wait) / rate if rate > 0 else math.inf
    depth = place.work.depth_for(min(room, time))
    return depth if depth >= min(_FEWEST, place.work.depth) else 0


def _patience(longest_wait: float, left: float) -> float:
    """Seconds that may be waited: what waits longer than that part of its time, a queue that stands refuses itself."""
    return min(longest_wait, PATIENCE * left)

"""Ours and its peers in turns, so that whatever else happens on the machine happens to all of them."""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from cascade.evaluate.ratio import Ratio, ratio

LEAST_SECONDS = 0.05
"""A run that takes less is repeated within its turn: clocks and schedulers would be most of what is measured."""

_FEWEST_ROUNDS = 3
_SETTLE_SECONDS = 0.02  # threads of the one before spin for a while before they sleep


@dataclass(frozen=True, slots=True)
class Goal:
    """What the lower end of a ratio's interval is to reach: `floor` at least, `aim` at best."""

    floor: float
    aim: float

    def met(self, reached: float) -> str:
        """Which of the two it reaches: "aim", "floor" or "neither"."""
        return "aim" if reached >= self.aim else "floor" if reached >= self.floor else "neither"


@dataclass(frozen=True, slots=True)
class Contender:
    """Something that does the work once when `run` is called, ours or another's, on which `goal` is held against it.

    `name` says which one and, where there are several, which case: "rank-bm25, 5,000 documents".
    """

    name: str
    version: str
    run: Callable[[], object]
    detail: str = ""
    goal: Goal | None = None


@dataclass(frozen=True, slots=True)
class Speed:
    """Units a second in each round, in order."""

    name: str
    version: str
    unit: str
    rounds: tuple[float, ...]
    detail: str = ""

    @property
    def median(self) -> float:
        """Of the rounds."""
        return statistics.median(self.rounds)

    @property
    def spread(self) -> tuple[float, float]:
        """The slowest round and the fastest."""
        return min(self.rounds), max(self.rounds)


@dataclass(frozen=True, slots=True)
class Versus:
    """A peer's speed, and how many times faster the contender of ours named `ours` was in the same rounds."""

    speed: Speed
    ratio: Ratio
    ours: str
    goal: Goal | None = None

    @property
    def met(self) -> str:
        """What the lower end of the interval reaches of the goal; empty without one."""
        return "" if self.goal is None else self.goal.met(self.ratio.low)


@dataclass(frozen=True, slots=True)
class Measured:
    """`ours` and its `peers`; `also` are other ways of ours that took part, each against every peer after the first."""

    ours: Speed
    peers: tuple[Versus, ...]
    also: tuple[Speed, ...] = ()
    notes: tuple[str, ...] = field(default=())


def interleave(
    ours: Contender,
    peers: Sequence[Contender],
    *,
    units: float,
    unit: str,
    rounds: int,
    tell: Callable[[str], None],
    also: Sequence[Contender] = (),
    cases: Sequence[Callable[[], object]] = (),
    seconds: float | None = None,
    clock: Callable[[], float] = time.perf_counter,
    pause: Callable[[float], None] = time.sleep,
) -> Measured:
    """Let all run `rounds` times in turns, forwards and backwards, after a warm-up of each that is not timed.

    A run does `units` of work, named in `unit` as "pairs/s". With `cases`, rounds do different work of as many units:
    each round begins by calling the next of them, and warming up goes through all. A peer that fails while it is
    warmed up is left out, with a note; one that fails later, and ours, raise. When the rounds together have taken more
    than `seconds`, the rest are not run, but three are in any case, and a note says so. A ratio compares the two runs
    of one round.
    """
    cases = cases or (_nothing,)
    notes: list[str] = []
    for contender in (ours, *also):
        tell(f"warming up {contender.name}")
        _warm_up(contender, cases)
    fit = [peer for peer in peers if _warms_up(peer, cases, tell, notes)]
    taking_part = [ours, *also, *fit]
    speeds: list[list[float]] = [[] for _ in taking_part]
    begin = clock()
    with _no_collection():
        for number in range(rounds):
            cases[number % len(cases)]()
            places = range(len(taking_part))
            for place in places if number % 2 == 0 else reversed(places):
                pause(_SETTLE_SECONDS)
                speeds[place].append(units / _seconds(taking_part[place].run, clock))
            each = "; ".join(f"{c.name} {s[-1]:,.1f}" for c, s in zip(taking_part, speeds, strict=True))
            tell(f"round {number + 1} of {rounds}, {unit}: {each}")
            if seconds is not None and clock() - begin > seconds and _FEWEST_ROUNDS <= number + 1 < rounds:
                notes.append(f"{ours.name}: {number + 1} of {rounds} rounds were run, for want of time")
                break
    found = [Speed(c.name, c.version, unit, tuple(s), c.detail) for c, s in zip(taking_part, speeds, strict=True)]
    own, theirs = found[: 1 + len(also)], found[1 + len(also) :]
    against = [
        Versus(speed, _ratio(one, speed), one.name, peer.goal)
        for one in own
        for peer, speed in zip(fit, theirs, strict=True)
    ]
    return Measured(own[0], tuple(against), tuple(own[1:]), tuple(notes))


def _nothing() -> None:
    """The only case of work that is always the same."""


def _warm_up(contender: Contender, cases: Sequence[Callable[[], object]]) -> None:
    for case in cases:
        case()
        contender.run()


def _warms_up(
    peer: Contender, cases: Sequence[Callable[[], object]], tell: Callable[[str], None], notes: list[str]
) -> bool:
    tell(f"warming up {peer.name}")
    try:
        _warm_up(peer, cases)
    except Exception as error:  # others' programs raise anything
        notes.append(f"{peer.name} {peer.version} failed and is left out: {_first_line(error)}")
        return False
    return True


def _seconds(run: Callable[[], object], clock: Callable[[], float]) -> float:
    """Of one run, as a mean over as many as fill the least time."""
    begin = clock()
    for count in range(1, 1_000_000):
        run()
        taken = clock() - begin
        if taken >= LEAST_SECONDS:
            return taken / count
    return max(taken, math.ulp(1.0)) / count


def _ratio(ours: Speed, theirs: Speed) -> Ratio:
    found = ratio(list(zip(ours.rounds, theirs.rounds, strict=True)))
    assert found is not None  # speeds are above 0, and there is at least one round
    return found


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}".rstrip(": ")


@contextmanager
def _no_collection() -> Iterator[None]:
    """What there is now is not looked through for garbage, and nothing is collected while others are timed."""
    gc.collect()
    gc.freeze()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_enabled:
            gc.enable()

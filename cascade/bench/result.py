"""What a bench found: speeds, ratios, and the quality that they were had at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from cascade.bench.measure import Goal, Measured, Speed, Versus
from cascade.evaluate.ratio import Ratio


@dataclass(frozen=True, slots=True)
class Check:
    """A figure other than a ratio of speeds that has a goal, with its interval where it has one.

    `better` says which way is better; the worse end of the interval is what is held against the goal.
    """

    name: str
    value: float
    goal: Goal
    better: Literal["more", "less"]
    unit: str = ""
    low: float | None = None
    high: float | None = None

    @property
    def met(self) -> str:
        """Which of the goal it reaches: "aim", "floor" or "neither"."""
        if self.better == "more":
            return self.goal.met(self.value if self.low is None else self.low)
        worst = self.value if self.high is None else self.high
        return Goal(-self.goal.floor, -self.goal.aim).met(-worst)


@dataclass(frozen=True, slots=True)
class Result:
    """A bench's figures; `also` are other cases of ours, and `machine` is what they were had on.

    `quality` is plain JSON: what was measured, and on what.
    """

    name: str
    ours: Speed
    peers: Sequence[Versus]
    quality: Mapping[str, Any]
    machine: Mapping[str, Any]
    notes: Sequence[str] = ()
    also: Sequence[Speed] = ()
    checks: Sequence[Check] = field(default=())

    @staticmethod
    def of(
        name: str,
        measured: Measured | Sequence[Measured],
        *,
        quality: Mapping[str, Any],
        machine: Mapping[str, Any],
        notes: Sequence[str] = (),
        checks: Sequence[Check] = (),
    ) -> Result:
        """Of one or several measurements, as of several sizes: the first one's ours is that of the result."""
        each = [measured] if isinstance(measured, Measured) else list(measured)
        first, *rest = each
        return Result(
            name=name,
            ours=first.ours,
            peers=[peer for one in each for peer in one.peers],
            quality=quality,
            machine=machine,
            notes=[*notes, *(note for one in each for note in one.notes)],
            also=[*first.also, *(speed for one in rest for speed in (one.ours, *one.also))],
            checks=checks,
        )

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values; `from_json` reads them back."""
        return {
            "name": self.name,
            "ours": _speed_json(self.ours),
            "also": [_speed_json(speed) for speed in self.also],
            "peers": [_versus_json(peer) for peer in self.peers],
            "checks": [_check_json(check) for check in self.checks],
            "quality": dict(self.quality),
            "machine": dict(self.machine),
            "notes": list(self.notes),
        }

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Result:
        """What `to_json` gave."""
        return Result(
            name=value["name"],
            ours=_speed(value["ours"]),
            peers=[_versus(peer) for peer in value["peers"]],
            quality=value["quality"],
            machine=value["machine"],
            notes=value["notes"],
            also=[_speed(speed) for speed in value["also"]],
            checks=[_check(check) for check in value["checks"]],
        )


def _speed_json(speed: Speed) -> dict[str, Any]:
    slowest, fastest = speed.spread
    return {
        "name": speed.name,
        "version": speed.version,
        "detail": speed.detail,
        "unit": speed.unit,
        "median": speed.median,
        "slowest": slowest,
        "fastest": fastest,
        "rounds": list(speed.rounds),
    }


def _speed(value: Mapping[str, Any]) -> Speed:
    return Speed(value["name"], value["version"], value["unit"], tuple(value["rounds"]), value["detail"])


def _versus_json(peer: Versus) -> dict[str, Any]:
    return {
        "name": peer.speed.name,
        "version": peer.speed.version,
        "ours": peer.ours,
        "ratio": {
            "median": peer.ratio.value,
            "low": peer.ratio.low,
            "high": peer.ratio.high,
            "rounds": list(peer.ratio.rounds),
        },
        "speed": _speed_json(peer.speed),
        **_goal_json(peer.goal, peer.met),
    }


def _versus(value: Mapping[str, Any]) -> Versus:
    found = value["ratio"]
    ratio = Ratio(found["median"], found["low"], found["high"], tuple(found["rounds"]))
    return Versus(_speed(value["speed"]), ratio, value["ours"], _goal(value))


def _check_json(check: Check) -> dict[str, Any]:
    return {
        "name": check.name,
        "value": check.value,
        "low": check.low,
        "high": check.high,
        "unit": check.unit,
        "better": check.better,
        **_goal_json(check.goal, check.met),
    }


def _check(value: Mapping[str, Any]) -> Check:
    goal = Goal(value["floor"], value["aim"])
    return Check(value["name"], value["value"], goal, value["better"], value["unit"], value["low"], value["high"])


def _goal_json(goal: Goal | None, met: str) -> dict[str, Any]:
    return {} if goal is None else {"floor": goal.floor, "aim": goal.aim, "met": met}


def _goal(value: Mapping[str, Any]) -> Goal | None:
    return Goal(value["floor"], value["aim"]) if "floor" in value else None

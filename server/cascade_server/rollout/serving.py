"""The versions of one cascade that answer now, and which of them answers a request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cascade.engine import Cascade
from cascade.errors import CascadeError, ConfigError, ModelLoadError
from cascade_server.errors import UnavailableError
from cascade_server.rollout.share import falls_within

Refusal = Callable[[], CascadeError]
"""Makes the error that says why a version cannot be used, a new one for every request."""


class Wired:
    """A version of a cascade, wired; fit to answer once `usable`, and never when `problem` says why not.

    `number` is 0 for one of the operator's files or presets.
    """

    def __init__(self, cascade: Cascade, number: int) -> None:
        self.cascade = cascade
        self.number = number
        self.usable = False
        self.problem: CascadeError | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """The version that answers a request, and the one that ranks a copy of it, if any."""

    cascade: Cascade
    version: int = 0
    canary: bool = False
    shadow: Wired | None = None


@dataclass(frozen=True, slots=True)
class Serving:
    """What answers for one cascade: an active version, or `refuse`, which says why there is none that can be used."""

    active: Wired | None
    canary: Wired | None = None
    canary_percent: float = 0.0
    shadow: Wired | None = None
    shadow_percent: float = 0.0
    refuse: Refusal | None = None

    @property
    def answering(self) -> Wired | None:
        """The active version, when it can be used."""
        return self.active if self.refuse is None else None

    @property
    def wired(self) -> tuple[Wired, ...]:
        """Every version that is here."""
        return tuple(w for w in (self.active, self.canary, self.shadow) if w is not None)

    def choose(self, tenant: str, key: str) -> Chosen:
        """The same version for the same `key`, while the rollout is the same. Raises what `refuse` makes."""
        if self.refuse is not None:
            raise self.refuse()
        active, canary, shadow = self.active, self.canary, self.shadow
        assert active is not None
        name = active.cascade.name
        if canary is not None and not falls_within(self.canary_percent, "canary", tenant, name, key):
            canary = None
        if shadow is not None and not falls_within(self.shadow_percent, "shadow", tenant, name, key):
            shadow = None
        answers = canary or active
        return Chosen(answers.cascade, answers.number, canary is not None, shadow)


def refusal(cascade: str, problem: CascadeError | None) -> Refusal:
    """Why a version cannot be used: for its `problem`, or because its models are still being loaded."""
    match problem:
        case ModelLoadError():
            model, reason = problem.model, problem.reason
            return lambda: ModelLoadError(model, reason)
        case ConfigError():
            source, problems = problem.source, problem.problems
            return lambda: ConfigError(source, problems)
        case None:
            return lambda: UnavailableError(f"loading the models of cascade {cascade!r}")
        case _:
            text = str(problem)
            return lambda: ModelLoadError(cascade, text)

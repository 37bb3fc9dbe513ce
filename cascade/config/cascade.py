"""A cascade: its stages, what must hold among them, and what tells it from others."""

from __future__ import annotations

import hashlib
from typing import Literal

from pydantic import Field, model_validator

from cascade.config.fields import Strict
from cascade.config.fuse import FuserConfig, RrfConfig
from cascade.config.retrieve import RetrieverConfig
from cascade.config.tier import PointwiseTier
from cascade.config.tiers import TierConfig

_MAX_STAGES = 32
"""Each costs every request something, and has series of metrics of its own."""


class CascadeConfig(Strict):
    """One cascade: retrieve, fuse, then tiers of growing cost and shrinking depth.

    `on_overload` says what a busy server does with a request that it could serve in time if it were idle: refuse it at
    once, or answer it by a cheaper plan, with fewer candidates for its tiers or fewer tiers, which the trace says.
    """

    description: str = ""
    retrieve: tuple[RetrieverConfig, ...]
    fuse: FuserConfig = RrfConfig()
    tiers: tuple[TierConfig, ...] = ()
    budget_ms: float | None = Field(None, gt=0)
    on_overload: Literal["refuse", "cheaper"] = "refuse"

    @model_validator(mode="after")
    def a_cascade_retrieves(self) -> CascadeConfig:
        """Without candidates there is nothing to rank."""
        if not self.retrieve:
            raise ValueError("retrieve is empty; name at least one retriever, such as {kind: bm25}")
        return self

    @model_validator(mode="after")
    def a_cascade_is_short(self) -> CascadeConfig:
        """A page holds a thousand stages, which would keep the event loop from everybody else's requests."""
        if len(self.stage_names) > _MAX_STAGES:
            raise ValueError(f"found {len(self.stage_names)} stages, expected at most {_MAX_STAGES}; leave some out")
        return self

    @model_validator(mode="after")
    def stage_names_are_unique(self) -> CascadeConfig:
        """A trace or metric line must point at one stage."""
        seen: set[str] = set()
        for name in self.stage_names:
            if name in seen:
                raise ValueError(f"two stages are named {name!r}; give each stage a name of its own")
            seen.add(name)
        return self

    @model_validator(mode="after")
    def a_cascade_narrows(self) -> CascadeConfig:
        """No tier sees more candidates than the one before it."""
        before, allowed = self.fuse.name, self.fuse.depth
        for tier in self.tiers:
            if tier.depth > allowed:
                raise ValueError(
                    f"tier {tier.name!r} has depth {tier.depth}, more than the {allowed} of {before!r} before it: "
                    f"a cascade narrows; lower it to {allowed} or less"
                )
            before, allowed = tier.name, tier.depth
        return self

    @model_validator(mode="after")
    def fusion_weights_name_retrievers(self) -> CascadeConfig:
        """A weight for a branch that does not exist is a typo."""
        names = [r.name for r in self.retrieve]
        for branch in self.fuse.weights:
            if branch not in names:
                raise ValueError(f"fuse has a weight for {branch!r}, expected one of the retrievers {', '.join(names)}")
        if self.fuse.weights and not any(self.fuse.weights.get(n, 1.0) > 0 for n in names):
            raise ValueError("fuse gives every retriever the weight 0; give at least one a weight above 0")
        return self

    @property
    def stage_names(self) -> tuple[str, ...]:
        """Every stage's name, in the order they run."""
        return (*(r.name for r in self.retrieve), self.fuse.name, *(t.name for t in self.tiers))

    @property
    def calibrated(self) -> str:
        """The last tier whose scores are mapped to probabilities, empty without one."""
        tiers = (t.name for t in reversed(self.tiers) if isinstance(t, PointwiseTier) and t.calibration is not None)
        return next(tiers, "")

    @property
    def config_hash(self) -> str:
        """Twelve hex digits of the SHA-256 of what the cascade says, equal for equal meaning."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]

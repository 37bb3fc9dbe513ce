"""Tiers in which a language model is asked in words."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from cascade.config.endpoint import EndpointConfig
from cascade.config.fields import Depth, Model, Name
from cascade.config.tier import Tier


class _PromptedTier(Tier):
    """A language model is asked in words, through a prompt; with `endpoint` it runs there, and `model` is not used.

    With `both_orders`, where a kind has it, every list is read forwards and backwards: twice the time, and a place in
    a list weighs less.
    """

    name: Name = "listwise"
    model: Model = "embedded:smollm2-135m-instruct"
    endpoint: EndpointConfig | None = None
    max_doc_tokens: int = Field(100, ge=16)

    @property
    def model_in_use(self) -> str:
        """That of the endpoint, where there is one."""
        return self.model if self.endpoint is None else self.endpoint.model


class _WindowedTier(_PromptedTier):
    """Reads windows from the back, each `stride` further up; what stands best in one goes on into the next."""

    window: int = Field(20, ge=2, le=100)
    stride: int = Field(10, ge=1)

    @model_validator(mode="after")
    def windows_leave_no_gap(self) -> _WindowedTier:
        """A document between two windows would never be read."""
        if self.stride > self.window:
            raise ValueError(f"stride {self.stride} is more than the window of {self.window}; lower it to that or less")
        return self


class LogitsConfig(_WindowedTier):
    """The order is read from the first generated token's logits over the identifiers (FIRST, Reddy et al., 2024)."""

    kind: Literal["logits"]
    window: int = Field(20, ge=2, le=26)
    both_orders: bool = True


class PermutationConfig(_WindowedTier):
    """The order is generated, in sliding windows from the back (RankGPT, Sun et al., 2023).

    `constrained` lets a local model write nothing but an order; an endpoint is asked about at most `concurrency`
    windows of a request at once.
    """

    kind: Literal["permutation"]
    concurrency: int = Field(2, ge=1, le=64)
    constrained: bool = True


class SetwiseConfig(_PromptedTier):
    """A heap sorted by asking which of `children` + 1 documents is the best (Zhuang et al., 2023)."""

    kind: Literal["setwise"]
    children: int = Field(3, ge=1, le=25)
    top: Depth = 10
    both_orders: bool = True


class TournamentConfig(_PromptedTier):
    """Rounds of groups whose best gain points (TourRank, Chen et al., 2024)."""

    kind: Literal["tournament"]
    group: int = Field(4, ge=2, le=26)
    rounds: int = Field(3, ge=1, le=100)
    both_orders: bool = True

"""Work of several callers that one batch of a model can hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

R = TypeVar("R")
S = TypeVar("S")


@dataclass(frozen=True, eq=False)
class Lane(Generic[R, S]):
    """Rows that a model reads together, whosoever they are; a lane is equal to itself alone.

    `run` is given the rows of one batch and returns a result for each, in order. A batch holds rows of at most
    `most_tokens` by `size`, which says how many tokens rows of these lengths take together, padding included; only a
    row longer than that goes beyond it, alone. More or longer rows never take less.
    """

    run: Callable[[Sequence[R]], Sequence[S]]
    most_tokens: int
    size: Callable[[Sequence[int]], int] = sum


@dataclass(eq=False, slots=True)
class Rows(Generic[R, S]):
    """Rows of one caller, each with its length in tokens; what a stepwise work yields to have them run.

    When the work goes on, `results` has one for every row. When it is abandoned, it has those that were run by then.
    """

    lane: Lane[R, S]
    rows: Sequence[R]
    lengths: Sequence[int]
    results: list[Any] = field(default_factory=list)
    """Of each row its result, None before it was run."""
    left: list[int] = field(init=False)
    """Which rows no batch has taken yet, the longest first."""

    def __post_init__(self) -> None:
        if len(self.rows) != len(self.lengths):
            raise ValueError(f"found {len(self.lengths)} lengths of {len(self.rows)} rows, expected one of each")
        self.results = [None] * len(self.rows)
        self.left = sorted(range(len(self.rows)), key=lambda row: -self.lengths[row])

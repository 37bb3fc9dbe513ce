"""What a tier that asks about lists hands to a reader, what it gets back, and what a reader is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cascade.budget import Budget
from cascade.inference.cost import CostEstimate, approximate_tokens
from cascade.rerank.listwise.steps import Steps


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be ranked: `most` is the longest list that will be asked for."""

    query: str
    passages: Sequence[str]
    most: int
    max_doc_tokens: int

    @property
    def tokens(self) -> float:
        """About as many as there are to be read, when each passage is read once."""
        return approximate_tokens([self.query, *self.passages], most=self.max_doc_tokens)


@dataclass(frozen=True, slots=True)
class Ranked:
    """`order` is a permutation of the positions received, best first; `read` of the lists were read, `complete` says
    whether those were all; for each passage the tokens seen and those it has. `failure` is empty, or says why some of
    the lists that were read got no order and stay as they were. `backend` is what ran a model of this process."""

    order: tuple[int, ...]
    read: int
    complete: bool
    tokens: int
    seen: tuple[tuple[int, int], ...]
    repairs: int = 0
    waited: float = 0.0
    failure: str = ""
    backend: str = ""


class Reader(Protocol):
    """A language model, here or elsewhere, that can be shown a list and asked for the best of it."""

    @property
    def cost(self) -> CostEstimate:
        """Seconds per token."""
        ...

    async def warm_up(self) -> None:
        """Load the model, or reach it, and run the self-test. Raises ModelLoadError."""
        ...

    async def rank(self, task: Task, steps: Steps, *, budget: Budget) -> Ranked:
        """What `steps` makes of the answers that there was time for. Raises TimeoutError when there was none."""
        ...

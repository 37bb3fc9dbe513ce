"""The work of a round: the same for all that take part in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Generic, TypeVar

W = TypeVar("W")


class Turn(Generic[W]):
    """Points at one of several works; `cases` are for `interleave`, each of which points at another."""

    def __init__(self, works: Sequence[W]) -> None:
        self.works = works
        self.number = 0

    @property
    def work(self) -> W:
        """That of this round."""
        return self.works[self.number]

    @property
    def cases(self) -> list[Callable[[], None]]:
        """One for each work."""
        return [partial(self._to, number) for number in range(len(self.works))]

    def _to(self, number: int) -> None:
        self.number = number

"""What waits for a model: entries, and the line that those of one account stand in."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from cascade.budget import Account

T = TypeVar("T")


class Reason(StrEnum):
    """Why an entry was dropped."""

    FULL = "full"
    PUSHED_OUT = "pushed_out"
    STANDING = "standing"
    EXPIRED = "expired"
    DEPARTED = "departed"


@dataclass(eq=False, slots=True)
class Entry(Generic[T]):
    """Work for `account`, wanted until `deadline`; `tokens` is first what it is thought to be, then what is left of it.

    The queue sets the rest: when the entry came, since when it waits for its next turn, whether it had one, and its
    place in the line.
    """

    account: Account
    tokens: int
    deadline: float
    item: T
    arrived: float = 0.0
    waits_since: float = 0.0
    started: bool = False
    place: tuple[float, int] = (0.0, 0)


@dataclass(frozen=True, slots=True)
class Drop(Generic[T]):
    """An entry that will not be served, and why."""

    entry: Entry[T]
    reason: Reason


@dataclass(eq=False, slots=True)
class Line(Generic[T]):
    """The entries of one account that wait, by their places.

    `tag` is the virtual time, in tokens over weight, at which the next step starts; `tokens` are those of its entries
    and of its work in hand; `late_since` is when its head was first found to have waited too long.
    """

    account: Account
    tag: float
    entries: list[Entry[T]] = field(default_factory=list)
    tokens: int = 0
    late_since: float | None = None

    def enter(self, entry: Entry[T]) -> None:
        """Let `entry` wait at its place."""
        insort(self.entries, entry, key=lambda one: one.place)

    @property
    def head_ends(self) -> float:
        """The virtual time at which the first of its entries, one at least, is to end."""
        return self.tag + self.entries[0].tokens / self.account.weight

    def fresh(self) -> list[Entry[T]]:
        """Those that had no turn yet."""
        return [entry for entry in self.entries if not entry.started]

    def holds(self, more: int = 0) -> float:
        """Its tokens over its account's weight, as if `more` had come."""
        return (self.tokens + more) / self.account.weight

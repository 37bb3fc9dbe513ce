"""Whose work a model does next: the queue as arithmetic, without threads."""

from __future__ import annotations

import time
from itertools import count
from typing import Generic, TypeVar

from cascade.budget import Account, Clock, Priority
from cascade.inference.discipline import overdue, pushed_out
from cascade.inference.line import Drop, Entry, Line, Reason
from cascade.inference.load import Backlog
from cascade.inference.walk import Walk

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Serves one step at a time: `take` an entry, `charge` the tokens that were run, then `put_back` or `end` it.

    A step may be a batch that others share, who `join` as they come in a `walk`; all are then charged and let go alike.

    - A class of priority is served only while none above it waits. A step in hand is not interrupted, so that what is
      urgent waits for one step of others at most. Below, work may starve: its callers' deadlines bound that.
    - Within a class, accounts share by weight: weighted fair queueing (Demers, Keshav and Shenker, 1989). That entry
      goes first which would end first if all accounts were served at once, each at its share; so it ends no later than
      it would then, but for a few steps (Parekh and Gallager, 1993), and a short job is not held up by a long one.
      While two accounts wait, what they were served over their weights differs by at most their largest entries, and
      where batches are shared, by that and a batch over each weight.
      What is run is charged, not what was said; and idleness earns nothing.
    - Within an account, the earliest deadline is served first, and of equals the one that came first.
    - Nothing is served after its deadline; `discipline` says what else is refused.

    Unless `fair`, it is a plain queue: in order of arrival, each to its end, and refused only for want of room.
    """

    def __init__(
        self, *, fair: bool = True, max_entries: int = 256, max_tokens: int = 2**22, clock: Clock = time.monotonic
    ) -> None:
        """There is room while fewer than `max_entries` wait, without those in hand, and fewer than `max_tokens`."""
        self._fair = fair
        self._max_entries = max_entries
        self._max_tokens = max_tokens
        self._clock = clock
        self._lines: dict[tuple[Priority, str], Line[T]] = {}
        self._virtual_time: dict[Priority, float] = {}
        """Of each class, the tokens that an account of weight 1 was served if it always waited, all at their shares."""
        self._in_hand: dict[Entry[T], Line[T]] = {}
        self._waiting: dict[Entry[T], None] = {}
        """In the order in which they began to wait."""
        self._arrivals = count()

    def push(self, entry: Entry[T]) -> list[Drop[T]]:
        """Let `entry` wait, and say what had to go for want of room; that may be `entry` itself."""
        entry.arrived = self._clock()
        entry.place = (entry.deadline if self._fair else 0.0, next(self._arrivals))
        account = entry.account if self._fair else Account()
        now = self._virtual_time.get(account.priority, 0.0)
        line = self._lines.setdefault((account.priority, account.name), Line(account, now))
        line.account = account
        if not line.entries and line not in self._in_hand.values():
            line.tag = max(line.tag, now)
        drops: list[Drop[T]] = []
        over = self.tokens - self._max_tokens
        if over >= 0 or len(self._waiting) >= self._max_entries:
            drops = pushed_out(entry, line, self._lines.values(), over + 1)
        for drop in drops:
            if drop.entry is entry:
                return drops
            self.discard(drop.entry)
        line.tokens += entry.tokens
        self._wait(entry)
        return drops

    def take(self) -> tuple[Entry[T] | None, list[Drop[T]]]:
        """The entry whose turn it is, none when nothing waits, and those that were found to be no use or too many."""
        drops = self._sweep()
        self._forget_idle()
        waiting = [line for line in self._lines.values() if line.entries]
        if not waiting:
            return None, drops
        line = min(waiting, key=lambda one: (one.account.priority, one.head_ends))
        entry = line.entries[0]
        self.join(entry)
        return entry, drops

    def walk(self, entry: Entry[T], most: int) -> Walk[T]:
        """The others of the class of the entry in hand, who may join it in a batch of at most `most` tokens."""
        return Walk(self._classes()[self._line(entry).account.priority], self._line, most)

    def waits(self, entry: Entry[T]) -> bool:
        """Whether the entry waits for a turn, and is neither in hand nor gone."""
        return entry in self._waiting

    def join(self, entry: Entry[T]) -> None:
        """Take an entry that waits in hand."""
        line = self._line(entry)
        line.entries.remove(entry)
        del self._waiting[entry]
        self._in_hand[entry] = line

    def charge(self, entry: Entry[T], tokens: int) -> None:
        """`tokens` of an entry in hand were run."""
        line = self._in_hand[entry]
        priority = line.account.priority
        weights = sum(one.account.weight for one in self._lines.values() if one.account.priority == priority)
        self._virtual_time[priority] = self._virtual_time.get(priority, 0.0) + tokens / weights
        line.tag += tokens / line.account.weight
        used = min(tokens, entry.tokens)
        entry.tokens -= used
        line.tokens -= used
        entry.started |= tokens > 0

    def put_back(self, entry: Entry[T]) -> None:
        """An entry in hand waits for its next turn; there is always room for it."""
        del self._in_hand[entry]
        self._wait(entry)

    def end(self, entry: Entry[T]) -> None:
        """An entry in hand wants no more turns."""
        self._in_hand.pop(entry).tokens -= entry.tokens

    def discard(self, entry: Entry[T]) -> bool:
        """Take out an entry that is not to be served; false if it does not wait."""
        if not self.waits(entry):
            return False
        line = self._line(entry)
        line.entries.remove(entry)
        line.tokens -= entry.tokens
        del self._waiting[entry]
        return True

    def clear(self) -> list[Entry[T]]:
        """Take out all that waits."""
        return [entry for entry in list(self._waiting) if self.discard(entry)]

    @property
    def in_hand(self) -> list[Entry[T]]:
        """Those that are being served."""
        return list(self._in_hand)

    @property
    def tokens(self) -> int:
        """Tokens that wait, with what is left of the work in hand."""
        return sum(line.tokens for line in self._lines.values())

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is in hand."""
        return not self._in_hand and not self._waiting

    @property
    def oldest_wait(self) -> float:
        """Seconds since the one that waits longest had its last turn, or came."""
        first = next(iter(self._waiting), None)
        return 0.0 if first is None else self._clock() - first.waits_since

    def backlogs(self) -> tuple[Backlog, ...]:
        """What waits for each account, counted in the same way."""
        return tuple(
            Backlog(line.account, line.tokens, line.tag - self._virtual_time.get(line.account.priority, 0.0))
            for line in self._lines.values()
        )

    def _line(self, entry: Entry[T]) -> Line[T]:
        account = entry.account if self._fair else Account()
        return self._lines[account.priority, account.name]

    def _wait(self, entry: Entry[T]) -> None:
        entry.waits_since = self._clock()
        self._waiting[entry] = None
        self._line(entry).enter(entry)

    def _classes(self) -> dict[Priority, list[Line[T]]]:
        classes: dict[Priority, list[Line[T]]] = {}
        for line in self._lines.values():
            classes.setdefault(line.account.priority, []).append(line)
        return classes

    def _sweep(self) -> list[Drop[T]]:
        now = self._clock()
        drops: list[Drop[T]] = []
        for lines in self._classes().values():
            for line in lines:
                while line.entries and line.entries[0].deadline <= now:
                    drops.append(Drop(line.entries[0], Reason.EXPIRED))
                    self.discard(line.entries[0])
                standing = overdue(line, lines, now) if self._fair and line.entries else []
                for drop in standing:
                    self.discard(drop.entry)
                drops += standing
        return drops

    def _forget_idle(self) -> None:
        """An account that waits for nothing is remembered only while it is ahead of others that wait."""
        busy = {line.account.priority for line in self._lines.values() if line.entries}
        for key, line in list(self._lines.items()):
            priority = line.account.priority
            if not line.entries and (priority not in busy or line.tag <= self._virtual_time.get(priority, 0.0)):
                del self._lines[key]

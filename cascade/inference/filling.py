"""Which rows make a model's next batch, and whose they are: the queue's arithmetic, without threads."""

from __future__ import annotations

from typing import Any, Generic, Protocol, TypeVar

from cascade.inference.fair_queue import FairQueue
from cascade.inference.line import Entry
from cascade.inference.rows import Lane, Rows
from cascade.inference.shared_batch import Share, SharedBatch


class Caller(Protocol):
    """Whose work an entry is."""

    @property
    def rows(self) -> Rows[Any, Any] | None:
        """The rows it waits for; none where it waits for something else, or was not begun."""

    @property
    def may_begin(self) -> bool:
        """Whether it was not begun, and can be without doing a step."""

    @property
    def wanted(self) -> bool:
        """Whether anybody waits for it."""


C = TypeVar("C", bound=Caller)

_MISSES = 8
"""Callers of the batch's lane of whose rows none fits, after whom it is full: to ask all would take its time, too."""


class Filling(Generic[C]):
    """A batch of the rows of the entry in hand, and while there is room of others in the order of their turns.

    - Others are of the leader's class alone. A batch on a processor takes as long as it has tokens, so that room is
      not free: work of a lower class would be done while work above it waits.
    - Nobody knows the rows of an entry before its work was begun. It is begun here if a batch can hold what it is
      thought to take, and so are others while those that turn out to have no rows for this batch are no more than a
      batch in all: so the leader does not wait for long preparations, and longer work is begun in its own turn.
    """

    def __init__(self, queue: FairQueue[C], leader: Entry[C], rows: Rows[Any, Any]) -> None:
        self.shares: dict[Entry[C], Share[Any, Any]] = {}
        """Of every entry in the batch, all of them in hand, its rows there."""
        self._queue = queue
        self._batch = SharedBatch(rows.lane)
        self._walk = queue.walk(leader, rows.lane.most_tokens)
        self._lane: Lane[Any, Any] = rows.lane
        self._to_begin = rows.lane.most_tokens
        self._misses = 0
        self._take(leader)

    def invite(self) -> Entry[C] | None:
        """Take in whose rows are known, up to an entry that is to be begun and seated: it is in hand from now on.

        None when the batch is full, or nobody is left.
        """
        while self._misses < _MISSES and not self._batch.full and (entry := self._walk.next()) is not None:
            if not self._queue.waits(entry) or not entry.item.wanted:
                continue
            if entry.item.may_begin and entry.tokens <= self._to_begin:
                self._queue.join(entry)
                return entry
            if self._take(entry):
                self._queue.join(entry)
        return None

    def seat(self, entry: Entry[C]) -> bool:
        """Take what there is room for of the rows of an entry that was begun; whether that was any."""
        if self._take(entry):
            return True
        self._to_begin -= entry.tokens
        return False

    def _take(self, entry: Entry[C]) -> bool:
        rows = entry.item.rows
        if rows is None or rows.lane is not self._lane:
            self._walk.passed_over(entry)
            return False
        share = self._batch.take(rows)
        if rows.left:
            self._walk.passed_over(entry)
        if not share.places:
            self._misses += 1
            return False
        self.shares[entry] = share
        self._walk.took(entry, share.tokens)
        return True

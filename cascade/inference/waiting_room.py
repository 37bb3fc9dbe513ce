"""Who waits for a model: the fair queue as its callers and its worker share it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cascade.budget import Account, Clock
from cascade.errors import OverloadedError, StageError
from cascade.inference.fair_queue import FairQueue
from cascade.inference.filling import Filling
from cascade.inference.job import Job, tell
from cascade.inference.line import Drop, Entry, Reason
from cascade.inference.load import QueueLoad
from cascade.inference.rows import Rows

QueueObserver = Callable[[str, int, str], None]
"""Told of every change: model, tokens that wait, and why an entry was dropped or nothing."""

_UNKNOWN_RETRY = 1.0
_LEAST_RETRY, _MOST_RETRY = 0.05, 60.0


@dataclass(frozen=True, slots=True)
class QueueOptions:
    """Who goes first in a queue, how many may wait, how long a token of theirs takes, and who is told of changes."""

    fair: bool = True
    max_waiting: int = 256
    seconds_per_token: Callable[[], float] = lambda: 0.0
    on_change: QueueObserver | None = None
    clock: Clock = time.monotonic


class WaitingRoom:
    """The queue is used under one lock; whoever is dropped is told why, and every change is observed."""

    def __init__(self, model: str, options: QueueOptions) -> None:
        self._model = model
        self._options = options
        self._queue: FairQueue[Job[Any]] = FairQueue(
            fair=options.fair, max_entries=options.max_waiting, clock=options.clock
        )
        self._changed = threading.Condition()
        """Held for every use of the queue, and told of what wakes the worker."""
        self._closed = False
        self._broken = False

    @property
    def open(self) -> bool:
        """Whether what enters may be served."""
        return not self._closed and not self._broken

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is in hand."""
        with self._changed:
            return self._queue.idle

    @property
    def load(self) -> QueueLoad:
        """What waits, as of now; as quick as there are few accounts that wait."""
        with self._changed:
            backlogs, oldest_wait = self._queue.backlogs(), self._queue.oldest_wait
        waiting = sum(backlog.tokens for backlog in backlogs)
        return QueueLoad(waiting, self._options.seconds_per_token(), oldest_wait, backlogs, self._options.fair)

    def enter(self, entry: Entry[Job[Any]]) -> None:
        """Wait for a turn. Raises OverloadedError when the room is closed, StageError when the worker has ended."""
        with self._changed:  # so that nothing is put behind the back of a worker that ends
            if self._closed:
                raise OverloadedError(f"model {self._model!r}, which is closed,", _UNKNOWN_RETRY)
            if self._broken:
                raise self._ended()
            drops = self._queue.push(entry)
            self._changed.notify()
        self._drop(drops)
        self._observe()

    def leave(self, entry: Entry[Job[Any]], reason: Reason) -> None:
        """Give the entry no more turns; one that waits is taken out and answered now."""
        entry.item.last_call = True
        with self._changed:
            waited = self._queue.discard(entry)
        if waited:
            self._drop([Drop(entry, reason)])

    def next(self) -> Entry[Job[Any]] | None:
        """The entry whose turn it is, in hand, once there is one; None when the room is closed and empty."""
        while True:
            with self._changed:
                entry, drops = self._queue.take()
                if entry is None and not drops:
                    if self._closed:
                        return None
                    self._changed.wait()
                    continue
            self._drop(drops)
            if entry is not None:
                return entry

    def fill(self, leader: Entry[Job[Any]], rows: Rows[Any, Any]) -> Filling[Job[Any]]:
        """A batch with the rows of the leader, who is in hand."""
        with self._changed:
            return Filling(self._queue, leader, rows)

    def invite(self, filling: Filling[Job[Any]]) -> Entry[Job[Any]] | None:
        """The next that is to be begun and seated in the batch, in hand."""
        with self._changed:
            return filling.invite()

    def seat(self, filling: Filling[Job[Any]], entry: Entry[Job[Any]]) -> bool:
        """Whether rows of an entry that was begun have come into the batch."""
        with self._changed:
            return filling.seat(entry)

    def let_go(self, charges: Mapping[Entry[Job[Any]], int]) -> None:
        """Charge those in hand the tokens that were run; each waits again, or is answered where it has ended."""
        jobs = [entry.item for entry in charges]
        for job in jobs:
            job.lay_down()
        with self._changed:
            for entry, tokens in charges.items():
                self._queue.charge(entry, tokens)
                if entry.item.ended:
                    self._queue.end(entry)
                else:
                    self._queue.put_back(entry)
        tell(jobs)
        self._observe()

    def close(self) -> None:
        """Let nobody in; what waits is answered with OverloadedError, what is in hand goes on to its end."""
        with self._changed:
            self._closed = True
            waiting = self._queue.clear()
            self._changed.notify()
        self._refuse(waiting, OverloadedError(f"model {self._model!r}, which is closing,", _UNKNOWN_RETRY))

    def abandon(self) -> None:
        """Nobody will be served any more: all are answered with StageError, those in hand too."""
        with self._changed:
            self._broken = True
            left = [*self._queue.in_hand, *self._queue.clear()]
        self._refuse(left, self._ended())

    def _drop(self, drops: Sequence[Drop[Job[Any]]]) -> None:
        for drop in drops:
            job = drop.entry.item
            if drop.reason in (Reason.EXPIRED, Reason.DEPARTED):
                job.abandon()
            else:
                job.refuse(OverloadedError(f"the queue of model {self._model!r}", self._retry(drop.entry.account)))
            self._observe(drop.reason)
        tell(drop.entry.item for drop in drops)

    def _refuse(self, entries: Sequence[Entry[Job[Any]]], error: Exception) -> None:
        for entry in entries:
            entry.item.refuse(error)
        tell(entry.item for entry in entries)

    def _retry(self, account: Account) -> float:
        """Seconds until what is ahead of that account will have been done."""
        seconds = self.load.seconds(account, 0)
        return min(max(seconds, _LEAST_RETRY), _MOST_RETRY) if seconds else _UNKNOWN_RETRY

    def _ended(self) -> StageError:
        return StageError(self._model, "its worker thread has ended; restart the server")

    def _observe(self, dropped: str = "") -> None:
        if self._options.on_change is not None:
            with self._changed:
                waiting = self._queue.tokens
            self._options.on_change(self._model, waiting, dropped)

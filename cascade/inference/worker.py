"""The thread that does a model's work: turn by turn, in batches that callers share."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from typing import Any

from cascade.inference.filling import Filling
from cascade.inference.job import Job
from cascade.inference.line import Entry
from cascade.inference.rows import Rows
from cascade.inference.shared_batch import Share, run
from cascade.inference.waiting_room import WaitingRoom

_NICENESS = 5
"""How far the worker stands back for the event loop, which must answer while the model computes on every core."""

Shares = dict[Entry[Job[Any]], Share[Any, Any]]


def serve(room: WaitingRoom) -> None:
    """Do what enters the room until that is closed; a thread that is made to exit leaves nobody waiting."""
    _stand_back()
    try:
        while (entry := room.next()) is not None:
            _turn(room, entry)
    finally:
        room.abandon()


def _turn(room: WaitingRoom, entry: Entry[Job[Any]]) -> None:
    job = entry.item
    job.pick_up()
    if (rows := job.rows) is not None:
        _batch(room, entry, rows)
        return
    tokens = job.step()
    room.let_go({entry: entry.tokens if tokens is None else tokens})


def _batch(room: WaitingRoom, leader: Entry[Job[Any]], rows: Rows[Any, Any]) -> None:
    """Run one batch of the leader's rows and others', and let those go on who wait for no more of theirs."""
    filling = room.fill(leader, rows)
    _invite(room, filling)
    ran = _run(filling.shares)
    for entry, error in ran.items():
        entry.item.rows_ran(error)
    room.let_go({entry: share.tokens if entry in ran else 0 for entry, share in filling.shares.items()})


def _invite(room: WaitingRoom, filling: Filling[Job[Any]]) -> None:
    while (entry := room.invite(filling)) is not None:
        entry.item.pick_up()
        if not room.seat(filling, entry):
            room.let_go({entry: 0})


def _run(shares: Shares) -> dict[Entry[Job[Any]], Exception | None]:
    """Run what is still wanted of a batch; those whose rows were run, and the error of those whose rows failed.

    A batch that fails is run apart, once, so that one caller's rows do not fail the others'.
    """
    wanted = {entry: share for entry, share in shares.items() if entry.item.wanted}
    if not wanted:
        return {}
    try:
        run(wanted.values())
    except Exception as error:
        # Whatever a model raises belongs to whoever asked it.
        if len(wanted) == 1:
            return dict.fromkeys(wanted, error)
    else:
        return dict.fromkeys(wanted)
    ran: dict[Entry[Job[Any]], Exception | None] = {}
    for entry, share in wanted.items():
        ran |= _run({entry: share})
    return ran


def _stand_back() -> None:
    """Let others go first for the processor: this thread, and those that it will compute with. Linux only."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with suppress(OSError):  # not permitted here
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + _NICENESS)

"""Work on a model that is done step by step, so that others have their turns in between."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

from cascade.inference.rows import Rows
from cascade.inference.shared_batch import run_alone

T = TypeVar("T")

Stepwise = Generator[int | Rows[Any, Any], None, T]
"""Yields what comes next, goes on when that is done or it is its turn, and returns the result.

What it yields are the tokens of a step that it then does itself; or rows, which are run for it in batches that others'
rows may share, and what `Lane.run` raises is raised there. All that it needs from one step to the next is its own, so
that others' steps cannot change the result. A yield that raises AbandonedError gives no more turns: what there is by
then may be returned, or the error let through.
"""


class AbandonedError(Exception):
    """Nobody waits for more of this work."""


def run_through(work: Stepwise[T]) -> T:
    """The result of all steps, one after the other in this thread; rows are run in the batches that they fill alone."""
    try:
        coming = next(work)
        while True:
            coming = _done(work, coming)
    except StopIteration as end:
        result: T = end.value
        return result


def _done(work: Stepwise[T], coming: int | Rows[Any, Any]) -> int | Rows[Any, Any]:
    """What comes after this."""
    if isinstance(coming, Rows):
        try:
            run_alone(coming)
        except Exception as error:
            # Whatever a model raises belongs to the work that asked it.
            return work.throw(error)
    return next(work)

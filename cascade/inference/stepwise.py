"""Work on a model that is done step by step, so that others have their turns in between."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")

Stepwise = Generator[int, None, T]
"""Yields the tokens of the step that comes next, goes on when it is its turn, and returns the result.

All that it needs from one step to the next is its own, so that others' steps cannot change the result. A yield that
raises AbandonedError gives no more turns: what there is by then may be returned, or the error let through.
"""


class AbandonedError(Exception):
    """Nobody waits for more of this work."""


def run_through(work: Stepwise[T]) -> T:
    """The result of all steps, one after the other in this thread."""
    try:
        while True:
            next(work)
    except StopIteration as end:
        result: T = end.value
        return result

"""How a ranking algorithm and whoever reads lists for it take turns, so that it can be stopped after any turn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence

from cascade.inference.stepwise import Stepwise

Lists = list[list[int]]
"""Lists of documents, each by its position in the order received, that do not depend on each other's answers."""

Answer = Sequence[float]
"""How well each document of a list answers compared with the others of that list; higher is better."""

Steps = Generator[Lists, list[Answer], list[int]]
"""Yields lists, is sent an answer for each, and returns the order of all documents, best first.

Sent fewer answers, because time ran out, it returns at once with the best order so far.
"""


def run(steps: Steps, read: Callable[[Lists], Stepwise[list[Answer]]]) -> Stepwise[tuple[list[int], bool]]:
    """The order, and whether everything that was to be read was read, in the steps that reading takes."""
    complete = True
    try:
        lists = next(steps)
        while True:
            answers = yield from read(lists)
            complete = len(answers) == len(lists)
            lists = steps.send(answers)
    except StopIteration as end:
        order: list[int] = end.value
        return order, complete


async def run_async(steps: Steps, read: Callable[[Lists], Awaitable[list[Answer]]]) -> tuple[list[int], bool]:
    """As `run`, where reading is waited for."""
    complete = True
    try:
        lists = next(steps)
        while True:
            answers = await read(lists)
            complete = len(answers) == len(lists)
            lists = steps.send(answers)
    except StopIteration as end:
        order: list[int] = end.value
        return order, complete


def in_both_orders(steps: Steps) -> Steps:
    """The same steps, each list read forwards and backwards and answered by the mean: what a model thinks of a place,
    whatever stands there, then counts for one document as often as for the document at the mirrored place."""
    try:
        lists = next(steps)
        while True:
            found = yield [order for one in lists for order in (one, one[::-1])]
            pairs = zip(found[::2], found[1::2], strict=False)  # a list that was read one way only counts as unread
            lists = steps.send([_mean(forwards, backwards) for forwards, backwards in pairs])
    except StopIteration as end:
        order: list[int] = end.value
        return order


def _mean(forwards: Answer, backwards: Answer) -> Answer:
    return [(one + other) / 2 for one, other in zip(forwards, reversed(backwards), strict=True)]


def best_first(answer: Answer) -> list[int]:
    """Places within a list, best first; equals keep their order."""
    return sorted(range(len(answer)), key=lambda place: -answer[place])

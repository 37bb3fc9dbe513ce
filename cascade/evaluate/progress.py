"""Shows on standard error how far a long step is: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

_SECONDS_PER_LINE = 10.0


@contextmanager
def bar(title: str, console: Console | None = None) -> Iterator[Callable[[int, int], None]]:
    """A bar to tell how much is done, and of how much."""
    console = console or Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield _Lines(title, console).tell
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def count(title: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar to tell that one more of `total` is done."""
    done = 0

    def one_more() -> None:
        nonlocal done
        done += 1
        show(done, total)

    with bar(title) as show:
        show(0, total)
        yield one_more


class _Lines:
    """Prints at the beginning, at the end, and never more often than every `_SECONDS_PER_LINE` between."""

    def __init__(self, title: str, console: Console) -> None:
        self._title = title
        self._console = console
        self._next = 0.0
        self._last: tuple[int, int] | None = None

    def tell(self, done: int, total: int) -> None:
        now = time.monotonic()
        if (done, total) == self._last or (now < self._next and done < total):
            return
        self._last, self._next = (done, total), now + _SECONDS_PER_LINE
        self._console.print(f"{self._title}: {done:,} of {total:,}", soft_wrap=True)

"""Who runs on which processors while a server is compared with the engine in process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shares:
    """`work` are the server's or the engine's, the same for both; `clients` are those of who asks a server."""

    work: tuple[int, ...]
    clients: tuple[int, ...]

    def __str__(self) -> str:
        if not self.work:
            return "nothing is kept to any processor"
        work, clients = (", ".join(map(str, each)) for each in (self.work, self.clients))
        return f"server and engine on processors {work}; clients on {clients}"


def shares() -> Shares:
    """The last processor for clients and the others for the work; nobody kept to any where there are not two."""
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return Shares(tuple(allowed[:-1]), (allowed[-1],)) if len(allowed) > 1 else Shares((), ())


@contextmanager
def kept_to(processors: tuple[int, ...]) -> Iterator[None]:
    """Whatever is started in the block runs on these processors; this process is where it was after it."""
    if not processors:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, processors)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)

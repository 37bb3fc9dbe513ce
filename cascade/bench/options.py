"""What a bench is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

QUICK_ROUNDS = 2
ROUNDS = 7


@dataclass(frozen=True, slots=True)
class Options:
    """`rounds` in which ours and its peers take turns, all computing with `threads` threads.

    `collection` is the folder of a judged collection in BEIR layout, whose texts are worked on; `collections` is a
    folder of several, on which quality is measured. `peers_python` is the interpreter of the environment in which
    peers are installed that this one does not have. A `quick` bench is as small as it can be: it shows that
    everything runs, and its figures mean nothing. `seconds` is what the rounds may take in all, None for as long as
    it takes. `reranks` is over how many the memory of a server is watched, None for what takes about a minute.
    """

    rounds: int = ROUNDS
    threads: int = 1
    collection: Path | None = None
    collections: Path | None = None
    peers_python: Path | None = None
    quick: bool = False
    seconds: float | None = None
    seed: int = 0
    reranks: int | None = None

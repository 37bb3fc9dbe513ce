"""The peers of an environment of their own, started and ended together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cascade.bench.measure import Contender, Goal
from cascade.bench.options import Options
from cascade.bench.peers import plain
from cascade.bench.peers.process import PeerError, PeerProcess
from cascade.bench.texts import Work
from cascade.bench.turn import Turn


@dataclass(frozen=True, slots=True)
class Peer:
    """A peer, by its `key` in the program; `apart` is the folder of an environment of its own inside the others'."""

    key: str
    name: str
    goal: Goal | None = None
    apart: str = ""


@contextmanager
def together(
    peers: Sequence[Peer], reference: str, turn: Turn[Work], options: Options, tell: Callable[[str], None]
) -> Iterator[tuple[list[Contender], list[str]]]:
    """A contender for each peer that is installed and loads, and why each other one does not take part.

    They run a plain classifier of the size of `reference`, and end with the block.
    """
    found: list[Contender] = []
    notes: list[str] = []
    if options.peers_python is None:
        names = ", ".join(peer.name for peer in peers)
        yield [], [f"not installed: {names}; `make bench` installs them, or name their Python with --peers"]
        return
    folder = plain.folder(reference)
    with ExitStack() as running:
        for peer in peers:
            python = _python(options.peers_python, peer.apart)
            tell(f"loading {peer.name}")
            log = folder.parent / f"{folder.name}-{peer.key}.log"
            try:
                process = PeerProcess(python, peer.key, folder, turn.works, threads=options.threads, log=log)
            except (PeerError, OSError) as error:
                notes.append(f"{peer.name} does not take part: {error}")
                continue
            running.enter_context(process)
            found.append(_contender(peer, process, turn))
        if found:
            notes.append(f"peers in processes of their own run a {plain.SAYS}")
        yield found, notes


def _contender(peer: Peer, process: PeerProcess, turn: Turn[Work]) -> Contender:
    return Contender(peer.name, process.version, lambda: process.scores(turn.number), process.detail, peer.goal)


def _python(python: Path, apart: str) -> Path:
    """The interpreter of the environment `apart` inside that of the others, or theirs where it is not there."""
    own = python.parent.parent / apart / "bin" / "python"
    return own if apart and own.exists() else python

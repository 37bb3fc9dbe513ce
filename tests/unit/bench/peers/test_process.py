"""A peer in a process of its own answers when asked, and says what is wrong with it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cascade.bench.options import Options
from cascade.bench.peers.process import PROGRAM, PeerError, PeerProcess
from cascade.bench.peers.together import Peer, together
from cascade.bench.texts import Work
from cascade.bench.turn import Turn

WORK = [Work("a query", ("one", "three")), Work("another", ("seven",))]
LENGTHS = f"""
import sys
sys.path.insert(0, {str(PROGRAM.parent)!r})
import program

class Lengths:
    package, detail, beside = "pip", "by length", ("pip",)

    def __init__(self, folder, texts):
        print("what a library prints")

    def scores(self, query, passages):
        if query == "another":
            raise ValueError("not this one")
        return [float(len(passage)) for passage in passages]

program.PEERS["lengths"] = Lengths
program.main()
"""


@pytest.fixture
def lengths(tmp_path: Path) -> Path:
    file = tmp_path / "lengths.py"
    file.write_text(LENGTHS, encoding="utf-8")
    return file


@pytest.fixture
def process(tmp_path: Path, lengths: Path) -> Iterator[PeerProcess]:
    python = Path(sys.executable)
    log = tmp_path / "log"
    with PeerProcess(python, "lengths", tmp_path, WORK, threads=1, log=log, program=lengths) as found:
        yield found


def test_a_peer_does_the_work_that_it_is_told(process: PeerProcess) -> None:
    assert process.scores(0) == [3.0, 5.0]


def test_a_peer_says_what_it_is(process: PeerProcess) -> None:
    assert process.version[0].isdigit()
    assert process.detail.startswith("by length; pip ")


def test_what_a_peer_raises_is_told_and_it_goes_on(process: PeerProcess) -> None:
    with pytest.raises(PeerError, match="ValueError: not this one"):
        process.scores(1)
    assert process.scores(0) == [3.0, 5.0]


def test_a_peer_that_is_not_installed_says_so(tmp_path: Path) -> None:
    with pytest.raises(PeerError, match="infinity_emb"):
        PeerProcess(Path(sys.executable), "infinity", tmp_path, WORK, threads=1, log=tmp_path / "log")


def test_a_program_that_ends_is_an_error(tmp_path: Path) -> None:
    program = tmp_path / "ends.py"
    program.write_text("", encoding="utf-8")
    python = Path(sys.executable)
    with pytest.raises(PeerError, match="has ended"):
        PeerProcess(python, "any", tmp_path, WORK, threads=1, log=tmp_path / "log", program=program)


def test_without_their_environment_peers_are_named_as_missing() -> None:
    peers = [Peer("flashrank", "FlashRank"), Peer("infinity", "infinity-emb")]
    with together(peers, "embedded:cross-encoder", Turn(WORK), Options(), lambda line: None) as (found, notes):
        assert not found
    assert notes == [
        "not installed: FlashRank, infinity-emb; `make bench` installs them, or name their Python with --peers"
    ]

"""`kill -9` at any moment loses nothing that was acknowledged, and leaves nothing half done."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cascade.index import IndexStore
from cascade.testing import HashedTokens, HashedWords
from cascade.types import Document

DOCUMENTS = 200


@pytest.fixture
def open_store(tmp_path: Path, encoder: HashedWords) -> Callable[[], IndexStore]:
    """As another process would open what the writer wrote."""
    return lambda: IndexStore(tmp_path / "indexes", lambda reference: encoder, lambda reference: HashedTokens())


WRITER = f"""
import sys, time
from pathlib import Path
from cascade.index import IndexStore
from cascade.testing import HashedTokens, HashedWords
from cascade.types import Document

def say(*words):
    sys.stderr.write(" ".join(map(str, words)) + chr(10))
    sys.stderr.flush()

def hang(*ignored, **also):
    say("here")
    time.sleep(3600)

store = IndexStore(Path(sys.argv[1]), lambda reference: HashedWords(), lambda reference: HashedTokens())
if not store.list():
    store.create("notes", "hashed-words", "hashed-tokens")
index = store.open("notes")

def generation(number):
    return [Document(f"d{{i}}", f"document {{i}} of generation g{{number}}") for i in range({DOCUMENTS})]
"""

GENERATIONS = """
number = int(sys.argv[2])
while True:
    number += 1
    index.upsert(generation(number))
    say("acknowledged", number)
"""


@contextmanager
def _process(script: str, *arguments: object) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", WRITER + script, *map(str, arguments)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()


def _wait_for(process: "subprocess.Popen[str]", word: str) -> str:
    """The next line that starts with `word`."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if line.startswith(word):
            return line
    raise AssertionError(f"the process ended without saying {word!r}: {''.join(lines)}")


def _generation(store: IndexStore) -> int:
    """The generation that all documents are of, in every part of the index."""
    snapshot = store.open("notes").snapshot
    documents = snapshot.fetch([f"d{i}" for i in range(DOCUMENTS)])
    assert len(documents) == snapshot.info.documents == DOCUMENTS
    (name,) = {document.text.split()[-1] for document in documents.values()}
    assert len(snapshot.bm25(name, 1000, None)) == DOCUMENTS
    expected = HashedWords().encode_documents([documents["d7"].text])[0]
    assert snapshot.vectors(["d7"])[0].tolist() == expected.tolist()
    assert snapshot.token_vectors is not None
    kept = snapshot.token_vectors.fetch([f"d{i}" for i in range(DOCUMENTS)])
    assert len(kept) == DOCUMENTS
    (tokens,) = HashedTokens().encode_documents([documents["d7"].text])
    assert (kept["d7"].vectors == tokens.vectors).all()
    return int(name[1:])


def test_a_process_killed_while_it_writes_keeps_what_it_acknowledged(
    tmp_path: Path, open_store: Callable[[], IndexStore]
) -> None:
    found = 0
    for acknowledgements in (1, 2):
        with _process(GENERATIONS, tmp_path / "indexes", found) as process:
            for _ in range(acknowledgements):
                last = int(_wait_for(process, "acknowledged").split()[1])
        found = _generation(open_store())
        assert found in (last, last + 1)  # the next may have been committed and not yet acknowledged


def test_a_process_killed_while_it_encodes_changes_nothing_and_the_work_is_not_lost(
    tmp_path: Path, open_store: Callable[[], IndexStore], encoder: HashedWords
) -> None:
    script = """
index.upsert(generation(1))
index.upsert(generation(2), progress=lambda done, total: hang() if 0 < done < total else None)
"""
    with _process(script, tmp_path / "indexes") as process:
        _wait_for(process, "here")
    store = open_store()
    assert _generation(store) == 1
    store.open("notes").upsert([Document(f"d{i}", f"document {i} of generation g2") for i in range(DOCUMENTS)])
    assert _generation(store) == 2
    assert 0 < len(encoder.encoded) < DOCUMENTS


@pytest.mark.parametrize(
    ("step", "survivor"),
    [
        ("cascade.index.table.sync_tree", 1),  # the rows are written, and not committed
        ("cascade.index.table.Table.tidy", 2),  # committed, and not published
        ("cascade.index.derived.Derived.build", 2),
        ("cascade.index.derived._checksums", 2),  # half of what is searched is there
        ("cascade.index.derived.Derived._load", 2),
    ],
)
def test_a_process_killed_at_any_step_leaves_one_whole_version(
    step: str, survivor: int, tmp_path: Path, open_store: Callable[[], IndexStore]
) -> None:
    script = f"""
import pkgutil
index.upsert(generation(1))
owner, _, name = {step!r}.rpartition(".")
setattr(pkgutil.resolve_name(owner), name, hang)
index.upsert(generation(2))
"""
    with _process(script, tmp_path / "indexes") as process:
        _wait_for(process, "here")
    store = open_store()
    assert _generation(store) == survivor
    store.open("notes").upsert([Document(f"d{i}", f"document {i} of generation g3") for i in range(DOCUMENTS)])
    assert _generation(store) == 3
    assert not list((tmp_path / "indexes" / "notes" / "derived").glob(".*"))


def test_a_process_killed_while_it_creates_leaves_no_index(
    tmp_path: Path, open_store: Callable[[], IndexStore]
) -> None:
    script = """
import cascade.index.durable
cascade.index.durable.sync_tree = hang
store.create("other", "hashed-words")
"""
    with _process(script, tmp_path / "indexes") as process:
        _wait_for(process, "here")
    store = open_store()
    assert [info.name for info in store.list()] == ["notes"]
    assert store.create("other", "hashed-words").documents == 0


def test_a_process_killed_while_it_drops_leaves_the_name_free(
    tmp_path: Path, open_store: Callable[[], IndexStore]
) -> None:
    script = """
import shutil
shutil.rmtree = hang
store.drop("notes")
"""
    with _process(script, tmp_path / "indexes") as process:
        _wait_for(process, "here")
    store = open_store()
    assert store.list() == []
    assert store.create("notes", "hashed-words").documents == 0


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path, open_store: Callable[[], IndexStore]) -> None:
    with _process("with index.exclusive(): hang()", tmp_path / "indexes") as process:
        _wait_for(process, "here")
    assert open_store().open("notes").upsert([Document("a", "text")]).added == 1

"""Collections come from ir_datasets and from the hub by their ids, here from copies on this machine."""

import json
import sys
from pathlib import Path

import pytest

from cascade.errors import InvalidInputError, NotFoundError
from cascade.evaluate.collection import read


def write(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The id of a data set of three documents that ir_datasets knows."""
    import ir_datasets

    folder = tmp_path_factory.mktemp("tiny")
    write(folder / "docs.tsv", "d1\tfirst", "d2\tsecond", "d3\tthird")
    write(folder / "queries.tsv", "q1\twhich is first?", "q2\twhich is second?", "q3\tnever judged")
    write(folder / "qrels.txt", "q1 0 d1 2", "q1 0 d2 0", "q2 0 d2 1")
    whole = ir_datasets.create_dataset(str(folder / "docs.tsv"), str(folder / "queries.tsv"), str(folder / "qrels.txt"))
    ir_datasets.registry.register("tiny-words/test", whole)
    ir_datasets.registry.register("tiny-words", ir_datasets.create_dataset(str(folder / "docs.tsv")))
    return "tiny-words/test"


def test_a_name_that_is_no_folder_is_an_id_of_ir_datasets(registered: str) -> None:
    collection = read(registered, "ignored")
    assert (collection.name, collection.split) == (registered, "judged")
    assert {d.doc_id: d.passage for d in collection.documents} == {"d1": "first", "d2": "second", "d3": "third"}
    assert collection.queries == {"q1": "which is first?", "q2": "which is second?"}
    assert collection.qrels == {"q1": {"d1": 2, "d2": 0}, "q2": {"d2": 1}}


def test_ir_before_an_id_says_that_no_folder_is_meant(
    registered: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / registered).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotFoundError, match="known: none"):
        read(registered, "test")
    assert len(read(f"ir:{registered}", "test").queries) == 2


def test_a_split_completes_an_id_that_has_no_judgments(registered: str) -> None:
    assert read("tiny-words", "test").name == registered
    with pytest.raises(InvalidInputError, match="tiny-words: has no judgments in ir_datasets"):
        read("tiny-words", "dev")


def test_documents_are_looked_up_when_only_some_are_needed(
    registered: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IR_DATASETS_HOME", str(tmp_path))
    assert [d.doc_id for d in read(registered, "test", lambda _: {"d3", "gone"}).documents] == ["d3"]


def test_an_id_that_nobody_knows_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="nowhere/at-all: no such folder, and no such id"):
        read("nowhere/at-all", "test")


def test_ir_datasets_is_asked_for_only_when_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ir_datasets", None)
    with pytest.raises(InvalidInputError, match=r"no such folder; .* pip install ir_datasets"):
        read("nowhere", "test")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the layout that BEIR's collections have on the hub, which the library reads as if it were there."""
    folder = tmp_path / "tiny"
    head = ["---", "configs:"]
    for name, split in (("corpus", "corpus"), ("queries", "queries")):
        head += [f"- config_name: {name}", "  data_files:", f"  - split: {split}", f"    path: {name}.jsonl"]
    write(folder / "README.md", *head, "---")
    write(folder / "corpus.jsonl", *(json.dumps({"_id": f"d{n}", "title": "", "text": f"text {n}"}) for n in (1, 2)))
    write(folder / "queries.jsonl", json.dumps({"_id": "q1", "title": "", "text": "one?"}))
    write(tmp_path / "tiny-qrels" / "test.tsv", "query-id\tcorpus-id\tscore", "q1\td1\t1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    return folder


def test_a_collection_of_the_hub_is_read_by_its_id(hub: Path) -> None:
    collection = read(f"hub:{hub}", "test")
    assert (collection.name, collection.queries, collection.qrels) == ("tiny", {"q1": "one?"}, {"q1": {"d1": 1}})
    assert {d.doc_id: d.text for d in collection.documents} == {"d1": "text 1", "d2": "text 2"}
    assert [d.doc_id for d in read(f"hub:{hub}", "test", lambda _: {"d2"}).documents] == ["d2"]


def test_a_split_that_the_hub_lacks_is_refused(hub: Path) -> None:
    with pytest.raises(InvalidInputError, match="dev"):
        read(f"hub:{hub}", "dev")


def test_without_a_network_the_hub_is_an_error_that_says_so() -> None:
    with pytest.raises(OSError, match=r"hub:BeIR/scifact cannot be fetched: .*needs a network"):
        read("hub:BeIR/scifact", "test")

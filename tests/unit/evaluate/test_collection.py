"""A BEIR folder is read whole, or refused with the place of what is wrong."""

import json
from pathlib import Path

import pytest

from cascade.errors import InvalidInputError, NotFoundError
from cascade.evaluate.collection import read


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    (folder / "qrels").mkdir(parents=True)
    documents = (
        {"_id": "d1", "title": "One", "text": "first"},
        {"_id": "d2", "text": "second", "metadata": {}},
    )
    queries = [{"_id": f"q{n}", "text": f"{word}?"} for n, word in enumerate(("first", "second", "third"), 1)]
    write(folder / "corpus.jsonl", *map(json.dumps, documents))
    write(folder / "queries.jsonl", *map(json.dumps, queries))
    write(folder / "qrels" / "test.tsv", "query-id\tcorpus-id\tscore", "q1\td1\t2", "q1\td2\t0", "q2\td2\t1")
    return folder


def write(path: Path, *lines: str) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_a_folder_is_read_into_documents_queries_and_judgments(folder: Path) -> None:
    collection = read(folder, "test")
    assert (collection.name, collection.split) == ("tiny", "test")
    assert [d.passage for d in collection.documents] == ["One\nfirst", "second"]
    assert collection.queries == {"q1": "first?", "q2": "second?"}
    assert collection.qrels == {"q1": {"d1": 2, "d2": 0}, "q2": {"d2": 1}}
    assert collection.excluded == {}
    assert collection.notes == ()


def test_documents_that_a_query_was_written_from_are_excluded_and_noted(folder: Path) -> None:
    write(folder / "exclude_source_docs.tsv", "query-id\tcorpus-id", "q1\td2")
    collection = read(folder, "test")
    assert collection.excluded == {"q1": frozenset({"d2"})}
    assert collection.notes == ("1 documents are excluded from the ranking of a query",)


def test_a_query_without_a_relevant_document_is_left_out_and_noted(folder: Path) -> None:
    write(folder / "qrels" / "test.tsv", "query-id\tcorpus-id\tscore", "q1\td1\t2", "q2\td2\t0")
    collection = read(folder, "test")
    assert list(collection.queries) == ["q1"]
    assert collection.notes == ("1 queries of split 'test' have no judgment above 0 and are left out",)


def test_a_document_without_text_is_left_out_and_noted(folder: Path) -> None:
    empty = '{"_id": "d2", "title": " ", "text": ""}'
    write(folder / "corpus.jsonl", '{"_id": "d1", "text": "first"}', empty)
    collection = read(folder, "test")
    assert [d.doc_id for d in collection.documents] == ["d1"]
    assert collection.notes == (
        "1 documents have neither title nor text and are left out",
        "2 judged documents are not in the collection and count as not found",
    )


def test_a_sample_is_the_same_for_the_same_seed_and_says_so(folder: Path) -> None:
    collection = read(folder, "test")
    first, again = collection.sample(1, seed=3), collection.sample(1, seed=3)
    assert first.queries == again.queries
    assert set(first.qrels) == set(first.queries)
    assert len(first.queries) == 1
    assert first.notes == ("1 of 2 queries, drawn with seed 3",)
    assert collection.sample(9, seed=3) is collection
    assert len({next(iter(collection.sample(1, seed=seed).queries)) for seed in range(20)}) == 2


@pytest.mark.parametrize("split", ["full/all", "full/all.tsv", "ABSOLUTE"])
def test_a_split_may_be_the_path_of_a_judgments_file(folder: Path, split: str) -> None:
    path = folder / "full" / "all.tsv"
    path.parent.mkdir()
    write(path, "query-id\tcorpus-id\tscore", "q3\td1\t1")
    assert read(folder, split.replace("ABSOLUTE", str(path))).qrels == {"q3": {"d1": 1}}


def test_judgments_may_be_in_the_format_of_trec(folder: Path) -> None:
    write(folder / "official.txt", "q1 0 d1 3", "q1\t0\td2\t-1", "q2 Q0 d2 1")
    collection = read(str(folder), "official.txt")
    assert collection.qrels == {"q1": {"d1": 3, "d2": -1}, "q2": {"d2": 1}}
    write(folder / "official.txt", "q1 0 d1 3", "q1 0 d2")
    with pytest.raises(InvalidInputError, match=r"official\.txt:2: found 3 columns, expected the 4 of a TREC"):
        read(folder, "official.txt")


def test_documents_that_are_not_needed_are_left_out_without_a_note(folder: Path) -> None:
    collection = read(folder, "test", lambda qrels: {d for grades in qrels.values() for d in grades} - {"d1"})
    assert [d.doc_id for d in collection.documents] == ["d2"]
    assert collection.notes == ()


def test_a_missing_split_lists_those_present(folder: Path) -> None:
    write(folder / "qrels" / "dev.tsv", "query-id\tcorpus-id\tscore")
    with pytest.raises(NotFoundError, match=r"no split .* named 'train'; known: dev, test"):
        read(folder, "train")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"nowhere: no such folder, expected one with corpus\.jsonl"):
        read(tmp_path / "nowhere", "test")


@pytest.mark.parametrize(
    ("file", "line", "message"),
    [
        ("corpus.jsonl", "{", r"corpus\.jsonl:3: not valid JSON"),
        ("corpus.jsonl", "[]", r"corpus\.jsonl:3: found list, expected a JSON object"),
        ("corpus.jsonl", '{"_id": 7, "text": "x"}', r"corpus\.jsonl:3: '_id' is 7, expected a string"),
        ("corpus.jsonl", '{"_id": "d3"}', r"corpus\.jsonl:3: 'text' is null, expected a string"),
        ("corpus.jsonl", '{"_id": "d1", "text": "x"}', r"corpus\.jsonl:3: document 'd1' stands here twice"),
        ("queries.jsonl", '{"_id": "q1", "text": "x"}', r"queries\.jsonl:4: query 'q1' stands here twice"),
        ("queries.jsonl", '{"_id": "q4", "text": " "}', r"queries\.jsonl:4: query 'q4' has an empty text"),
        ("qrels/test.tsv", "q1\td1", r"test\.tsv:5: found 2 columns separated by tabs, expected 3"),
        ("qrels/test.tsv", "q1\td3\tyes", r"test\.tsv:5: score 'yes' is not a whole number"),
        ("qrels/test.tsv", "q9\td1\t1", r"test\.tsv:5: query 'q9' is not in queries\.jsonl"),
        ("qrels/test.tsv", "q1\td1\t1", r"test\.tsv:5: document 'd1' has two grades for query 'q1'"),
    ],
)
def test_an_error_names_file_and_line(folder: Path, file: str, line: str, message: str) -> None:
    with (folder / file).open("a", encoding="utf-8") as out:
        out.write(line + "\n")
    with pytest.raises(InvalidInputError, match=message):
        read(folder, "test")


def test_a_table_without_a_header_is_refused(folder: Path) -> None:
    write(folder / "qrels" / "test.tsv", "q1\td1\t1")
    with pytest.raises(InvalidInputError, match=r"test\.tsv:1: found 'q1', expected a header"):
        read(folder, "test")


def test_text_that_is_not_utf_8_names_its_line(folder: Path) -> None:
    with (folder / "queries.jsonl").open("ab") as out:
        out.write(b'{"_id": "q4", "text": "\xff"}\n')
    with pytest.raises(InvalidInputError, match=r"queries\.jsonl:4: not valid UTF-8"):
        read(folder, "test")


def test_judgments_without_a_relevant_document_are_refused(folder: Path) -> None:
    write(folder / "qrels" / "test.tsv", "query-id\tcorpus-id\tscore", "q1\td1\t0")
    with pytest.raises(InvalidInputError, match="no query has a judgment above 0"):
        read(folder, "test")

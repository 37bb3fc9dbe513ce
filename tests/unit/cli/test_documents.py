"""Documents read from JSON lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cascade.cli.documents import read
from cascade.types import Document


def _read(tmp_path: Path, *lines: bytes) -> tuple[list[Document], list[str]]:
    path = tmp_path / "c.jsonl"
    path.write_bytes(b"\n".join(lines))
    lines = read([path])
    return lines.documents, [f"{p.field.removeprefix(str(path))}: {p.message}" for p in lines.problems]


def test_beir_lines_and_lines_with_doc_id_are_read(tmp_path: Path) -> None:
    documents, problems = _read(
        tmp_path,
        b'{"_id": "a", "title": "T", "text": "x", "metadata": {"url": "u"}, "year": 2020}',
        b"",
        b'{"doc_id": 7, "text": "y", "score": 0.5, "open": true, "none": null}',
    )
    assert problems == []
    assert documents == [
        Document("a", "x", "T", {"year": 2020, "url": "u"}),
        Document("7", "y", "", {"score": 0.5, "open": True}),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", "not valid JSON"),
        (b'{"_id": "\xff", "text": "x"}', "not valid UTF-8"),
        (b"[1]", "found an array, expected an object"),
        (b'{"text": "x"}', "found null as the id"),
        (b'{"_id": "", "text": "x"}', "found an empty text as the id"),
        (b'{"_id": true, "text": "x"}', "found a boolean as the id"),
        (b'{"_id": "a", "doc_id": "b", "text": "x"}', "both _id and doc_id"),
        (b'{"_id": "a", "text": " "}', "neither text nor title"),
        (b'{"_id": "a", "text": 5}', "found the number 5 as text"),
        (b'{"_id": "a", "text": "\\ud800"}', "half of a surrogate pair"),
        (b'{"_id": "a", "text": "x", "metadata": [1]}', "found an array as metadata"),
        (b'{"_id": "a", "text": "x", "tags": ["t"]}', "metadata 'tags' is an array"),
        (b'{"_id": "a", "text": "x", "n": NaN}', "found NaN"),
        (b'{"_id": "a", "text": "x", "n": 1e999}', "metadata 'n' is the number inf"),
        (b'{"_id": "a", "text": "x", "n": 9223372036854775808}', "metadata 'n' is the number"),
    ],
)
def test_a_line_that_is_no_document_is_named(tmp_path: Path, line: bytes, message: str) -> None:
    documents, problems = _read(tmp_path, b'{"_id": "first", "text": "x"}', line)
    assert [d.doc_id for d in documents] == ["first"]
    assert len(problems) == 1
    assert problems[0].startswith(":2: ")
    assert message in problems[0]


def test_an_id_that_stands_twice_names_both_lines(tmp_path: Path) -> None:
    line = json.dumps({"_id": "a", "text": "x"}).encode()
    documents, problems = _read(tmp_path, line, line)
    assert len(documents) == 1
    assert problems[0].endswith("c.jsonl:1")


def test_a_field_of_a_document_is_found_in_its_file(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_bytes(b'\n{"_id": "a", "text": "x"}\n{\n{"_id": "b", "text": "x"}\n')
    lines = read([path])
    assert lines.place("documents[1].text") == f"{path}:4 text"
    assert lines.place("documents[0]") == f"{path}:2"
    assert lines.place("documents[2].text") == "documents[2].text"
    assert lines.place("index") == "index"

"""The standard library's documentation as a collection, and its judgments."""

from __future__ import annotations

import collections
import json
import os
import re
import subprocess
import sys

import pytest

from cascade.evaluate import pydocs
from cascade.evaluate.pydocs.corpus import SKIPPED_MODULES
from cascade.types import Document

KINDS = {"module", "class", "function", "method", "object", "topic"}


@pytest.fixture(scope="module")
def corpus() -> list[Document]:
    return list(pydocs.documents())


@pytest.fixture(scope="module")
def doc_ids(corpus: list[Document]) -> set[str]:
    return {document.doc_id for document in corpus}


def test_the_library_is_thousands_of_documents_with_unique_ids(corpus: list[Document], doc_ids: set[str]) -> None:
    assert len(corpus) >= 3_000
    assert len(doc_ids) == len(corpus)


def test_every_document_has_text_a_title_and_a_kind(corpus: list[Document]) -> None:
    for document in corpus:
        assert len(document.text.split()) > 1, document.doc_id
        assert document.title
        assert document.metadata["kind"] in KINDS
        assert document.metadata["module"]


def test_a_text_that_several_names_share_is_one_document_under_its_shortest_name(
    corpus: list[Document], doc_ids: set[str]
) -> None:
    bodies = collections.Counter(without_signature(document) for document in corpus)
    assert [body for body, count in bodies.items() if count > 1] == []
    assert {"random.choice", "asyncio.run", "os.path.join"} <= doc_ids
    assert doc_ids.isdisjoint({"random.Random.choice", "asyncio.runners.run", "posixpath.join"})


def without_signature(document: Document) -> str:
    first, _, rest = document.text.partition("\n\n")
    return rest if re.fullmatch(rf"{re.escape(document.doc_id)}\(.*\)", first) else document.text


def test_well_known_parts_of_the_library_go_by_their_well_known_names(doc_ids: set[str]) -> None:
    known = "open len str.split list.sort os.path.join json json.dumps subprocess.run asyncio.gather pathlib.Path"
    assert set(known.split()) | {"topic:with", "threading.Thread.join"} <= doc_ids


def test_a_function_shows_how_it_is_called(corpus: list[Document]) -> None:
    texts = {document.doc_id: document.text for document in corpus}
    assert texts["shutil.rmtree"].startswith("shutil.rmtree(path, ignore_errors=False, onerror=None")
    assert "str.split(sep=None, maxsplit=-1)" in texts["str.split"]


def test_no_signature_says_where_an_object_lies_in_memory_or_python_on_disk(corpus: list[Document]) -> None:
    signatures = [document.text.partition("\n")[0] for document in corpus]
    assert [line for line in signatures if " at 0x" in line or sys.executable in line] == []


LIST_A_FRESH_INTERPRETERS_CORPUS = """
import json, sys
from cascade.evaluate import pydocs
found = [[d.doc_id, d.title, d.text, dict(d.metadata)] for d in pydocs.documents()]
print(json.dumps({"documents": found, "modules": sorted(sys.modules)}))
"""


def corpus_of_a_fresh_interpreter(hash_seed: str) -> dict[str, list[object]]:
    ran = subprocess.run(
        [sys.executable, "-c", LIST_A_FRESH_INTERPRETERS_CORPUS],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
    )
    assert ran.stderr == ""
    found: dict[str, list[object]] = json.loads(ran.stdout)
    return found


def test_every_process_reads_the_same_corpus_and_imports_nothing_that_acts() -> None:
    first, second = corpus_of_a_fresh_interpreter("1"), corpus_of_a_fresh_interpreter("2")
    assert first["documents"] == second["documents"]
    acting = {"antigravity", "this", "idlelib", "turtledemo", "turtle", "tkinter", "test", "lib2to3"}
    assert acting <= SKIPPED_MODULES
    assert acting.isdisjoint(first["modules"])


def test_every_query_is_answered_by_a_document_that_exists(doc_ids: set[str]) -> None:
    judged = pydocs.load(doc_ids)
    assert len(judged.queries) >= 80
    assert judged.queries.keys() == judged.qrels.keys()
    for query_id, grades in judged.qrels.items():
        assert 2 in grades.values(), judged.queries[query_id]
        assert set(grades.values()) <= {1, 2}
        assert grades.keys() <= doc_ids


def test_no_query_is_asked_twice() -> None:
    texts = pydocs.load().queries.values()
    assert len(set(texts)) == len(texts)


def test_nearly_all_judgments_hold_on_any_python(doc_ids: set[str]) -> None:
    """They were made on 3.11.7; even 3.11.2 lacks three of the documents."""
    judged = pydocs.load(doc_ids)
    kept = sum(map(len, judged.qrels.values()))
    assert judged.dropped <= 0.05 * kept
    assert len(judged.queries) >= 60


def test_judgments_of_missing_documents_are_left_out_and_counted(doc_ids: set[str]) -> None:
    whole = pydocs.load()
    query_id, grades = next(iter(whole.qrels.items()))
    without_answer = pydocs.load({doc_id for doc_id in doc_ids if grades.get(doc_id) != 2})
    assert query_id not in without_answer.queries
    assert without_answer.dropped >= len(grades)
    assert sum(map(len, without_answer.qrels.values())) + without_answer.dropped == sum(map(len, whole.qrels.values()))


def test_the_showcase_is_five_of_the_judged_queries() -> None:
    assert len(set(pydocs.SHOWCASE)) == 5
    assert set(pydocs.SHOWCASE) <= set(pydocs.load().queries.values())

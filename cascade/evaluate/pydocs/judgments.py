"""Questions that programmers ask, and which documents of the standard library answer them.

We wrote the questions, and graded for each the twenty documents that BM25 and the twenty that all-MiniLM-L6-v2 found on
Python 3.11 (by name and beginning of the text, in shuffled order), and the answers we knew that neither had found.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Container
from importlib import resources
from typing import NamedTuple

# Questions on which the stages differ: each retriever buries the answers that the other finds.
SHOWCASE = (
    "how do I run a command and capture what it prints",
    "remember results of an expensive function so that it is not computed twice",
    "log messages into a file that does not grow without limit",
    "break a web address into host, path and query",
    "how far values are spread around their mean",
)

_QRELS_HEADER = ["query-id", "corpus-id", "score"]


class JudgedQueries(NamedTuple):
    """Queries by id, and the grade of each judged document: 2 answers the query, 1 helps.

    Every query has at least one document of grade 2. `dropped` counts the judgments that were left out because this
    Python's documentation lacks their document, or lacks every answer to their query.
    """

    queries: dict[str, str]
    qrels: dict[str, dict[str, int]]
    dropped: int


def load(doc_ids: Container[str] | None = None) -> JudgedQueries:
    """Load the judged queries; with `doc_ids`, only the judgments of documents that it contains.

    The documentation differs a little between Python versions: a judgment without its document, and a query without
    an answer, cannot be measured and are left out and counted.
    """
    folder = resources.files(__package__)
    lines = folder.joinpath("queries.jsonl").read_text(encoding="utf-8").splitlines()
    texts = {entry["_id"]: entry["text"] for entry in map(json.loads, lines)}
    table = folder.joinpath("qrels.tsv").read_text(encoding="utf-8").splitlines()
    header, *rows = csv.reader(table, delimiter="\t")
    if header != _QRELS_HEADER:
        raise ValueError(f"qrels.tsv begins with {header}, expected {_QRELS_HEADER}")
    qrels: dict[str, dict[str, int]] = {query_id: {} for query_id in texts}
    for query_id, doc_id, grade in rows:
        if doc_ids is None or doc_id in doc_ids:
            qrels[query_id][doc_id] = int(grade)
    answered = {query_id: grades for query_id, grades in qrels.items() if 2 in grades.values()}
    kept = sum(map(len, answered.values()))
    return JudgedQueries(
        queries={query_id: texts[query_id] for query_id in answered}, qrels=answered, dropped=len(rows) - kept
    )

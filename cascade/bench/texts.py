"""Real texts to work on: queries with their candidates, of a judged collection or of Python's documentation."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from cascade.bench.options import Options
from cascade.errors import InvalidInputError, Violation

PREFERRED = ("msmarco-v2-dl21-dl22-dl23", "nq-qed")
"""Of a folder of collections, which one's texts are worked on when none is named, if it is there."""


@dataclass(frozen=True, slots=True)
class Work:
    """A query and what BM25 finds for it, best first."""

    query: str
    passages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Texts:
    """Where texts are from, passages by id and queries."""

    source: str
    passages: Mapping[str, str]
    queries: Sequence[str]

    def work(self, queries: int, depth: int, seed: int) -> list[Work]:
        """So many of the queries, drawn by `seed`, each with `depth` candidates."""
        drawn = random.Random(seed).sample(sorted(self.queries), queries)
        found = best(drawn, self.passages, depth)
        return [Work(query, tuple(self.passages[i] for i in ids)) for query, ids in zip(drawn, found, strict=True)]

    def sample(self, count: int, seed: int) -> list[str]:
        """So many passages, drawn by `seed`."""
        return random.Random(seed).sample(sorted(self.passages.values()), min(count, len(self.passages)))


def texts(options: Options) -> Texts:
    """Those of the collection that is named, of the folder's preferred one, or Python's documentation."""
    folder = options.collection
    if folder is None and options.collections is not None:
        folder = next((options.collections / name for name in PREFERRED if (options.collections / name).is_dir()), None)
    return _documentation() if folder is None else _collection(folder)


def best(queries: Sequence[str], passages: Mapping[str, str], depth: int) -> list[list[str]]:
    """Of each query the ids of the `depth` passages with the best BM25 scores, best first."""
    from cascade.index.tokens import tokenize, tokenize_query

    ids = list(passages)
    bm25s = load_bm25s()
    logging.getLogger("bm25s").setLevel(logging.WARNING)  # it tells of every step
    retriever = bm25s.BM25()
    retriever.index([tokenize(passage) for passage in passages.values()], show_progress=False)
    tokens = [tokenize_query(query) for query in queries]
    rows, _ = retriever.retrieve(tokens, k=min(depth, len(ids)), show_progress=False, sorted=True)
    return [[ids[int(row)] for row in each] for each in rows]


def load_bm25s() -> Any:
    """The module, which is installed for tests and benches alone. Raises InvalidInputError."""
    try:
        import bm25s
    except ModuleNotFoundError:
        message = "benches work on what BM25 finds, by a package that is not installed; run: pip install bm25s"
        raise InvalidInputError([Violation("bm25s", message)]) from None
    return bm25s


def _collection(folder: Path) -> Texts:
    from cascade.evaluate import beir

    passages = {document.doc_id: document.passage for document in beir.documents(folder / beir.CORPUS)}
    queries = beir.queries_of(folder / beir.QUERIES)
    return Texts(folder.resolve().name, passages, list(queries.values()))


def _documentation() -> Texts:
    import platform

    from cascade.evaluate.pydocs.corpus import documents

    lines = resources.files("cascade.evaluate.pydocs").joinpath("queries.jsonl").read_text(encoding="utf-8")
    passages = {document.doc_id: document.passage for document in documents()}
    name = f"documentation of Python {platform.python_version()}"
    return Texts(name, passages, [json.loads(line)["text"] for line in lines.splitlines()])

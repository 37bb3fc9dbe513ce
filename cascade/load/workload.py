"""What is asked while a server is loaded: real questions and real passages, the same for the same seed."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from importlib import resources

from cascade_api.v1 import document_pb2, ranking_pb2

RERANK = """\
description: The load generator's - a cross-encoder over ten short passages in the order given.
retrieve: [{kind: given, depth: 10}]
tiers: [{kind: cross_encoder, model: "embedded:cross-encoder-l3", depth: 10}]
"""

WORDS = """\
description: The load generator's - words only, where models are not the point.
retrieve: [{kind: bm25, depth: %d}]
"""

PASSAGES = 10
_CHARS = range(40, 101)
_POOL = 512


@dataclass(frozen=True, slots=True)
class Workload:
    """A cascade as YAML, and requests that are ranked by it, as they go over the wire."""

    cascade: str
    text: str
    requests: tuple[bytes, ...]


def workload(cascade: str, text: str, *, seed: int, passages: int = PASSAGES, size: int = _POOL) -> Workload:
    """`size` requests for the cascade named `cascade`, each with passages drawn from Python's documentation."""
    drawn = random.Random(seed)
    queries, texts = _queries(), _passages()
    requests = (_request(cascade, drawn.choice(queries), drawn.sample(texts, passages)) for _ in range(size))
    return Workload(cascade, text, tuple(requests))


def _request(cascade: str, query: str, passages: list[str]) -> bytes:
    documents = [document_pb2.Document(text=passage) for passage in passages]
    request = ranking_pb2.RankRequest(cascade=cascade, query=query, top_k=len(documents), documents=documents)
    return request.SerializeToString()


def _queries() -> list[str]:
    lines = resources.files("cascade.evaluate.pydocs").joinpath("queries.jsonl").read_text(encoding="utf-8")
    return [json.loads(line)["text"] for line in lines.splitlines()]


def _passages() -> list[str]:
    from cascade.evaluate.pydocs.corpus import documents

    return [document.text for document in documents() if len(document.text) in _CHARS]

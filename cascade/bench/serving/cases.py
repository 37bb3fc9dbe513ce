"""What is ranked, by which cascades."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from cascade.bench.options import Options
from cascade.bench.serving.subject import Question
from cascade.bench.texts import Texts, texts

MODEL = """\
description: The bench's - a small cross-encoder over passages in the order given.
retrieve: [{kind: given, depth: 100}]
tiers: [{kind: cross_encoder, model: "embedded:cross-encoder-l3", depth: 100}]
"""
PLAIN = """\
description: The bench's - no model, so that what a server adds is most of what there is.
retrieve: [{kind: given, depth: 100}]
tiers: [{kind: identity, depth: 50}]
"""
CASCADES: Mapping[str, str] = {"model": MODEL, "plain": PLAIN}

_CHARS = 1000
_SHORT = range(40, 101)


def natural(source: Texts, count: int, depth: int, seed: int) -> tuple[Question, ...]:
    """Queries with their best passages by BM25, of natural length."""
    return tuple(Question(work.query, work.passages) for work in source.work(count, depth, seed))


def heads(questions: Sequence[Question], depth: int) -> tuple[Question, ...]:
    """The same queries, each with the first `depth` of its texts."""
    return tuple(Question(question.query, question.texts[:depth]) for question in questions)


def kilobytes(source: Texts, count: int, depth: int, seed: int) -> tuple[Question, ...]:
    """Queries, each with so many documents of 1,000 characters, made of passages put together."""
    drawn = random.Random(seed)
    passages = sorted(source.passages.values())

    def document() -> str:
        text = ""
        while len(text) < _CHARS:
            text += drawn.choice(passages) + "\n"
        return text[:_CHARS]

    queries = sorted(source.queries)
    return tuple(Question(drawn.choice(queries), tuple(document() for _ in range(depth))) for _ in range(count))


def short(count: int, depth: int, seed: int) -> tuple[Question, ...]:
    """Queries, each with so many passages of 40 to 100 characters of Python's documentation, as a load test's."""
    source = texts(Options())
    drawn = random.Random(seed)
    passages = sorted(text for text in source.passages.values() if len(text) in _SHORT)
    queries = sorted(source.queries)
    return tuple(Question(drawn.choice(queries), tuple(drawn.sample(passages, depth))) for _ in range(count))

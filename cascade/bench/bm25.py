"""BM25 over an index: one query at a time, questions and whole passages, at two sizes, from text to the best 100."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from cascade.bench.machine import describe
from cascade.bench.measure import Contender, Goal, Measured, interleave
from cascade.bench.options import Options
from cascade.bench.result import Check, Result
from cascade.bench.texts import load_bm25s, texts
from cascade.bench.turn import Turn
from cascade.evaluate import beir
from cascade.index.lexical import K1, B, Lexical
from cascade.index.tokens import tokenize, tokenize_query

SIZES: Mapping[int, Goal | None] = {5_000: Goal(floor=50, aim=100), 100_000: Goal(floor=300, aim=1000)}
_QUICK_SIZES: Mapping[int, Goal | None] = {500: None}
_LARGE = 50_000  # rank-bm25 takes seconds for a few queries
_DEPTH = 100
_ROUNDS_OF_WORK = 3
_WORDS = 120
_EQUAL = 1e-6

Tokens = Sequence[Sequence[str]]
Queries = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Corpus:
    """Where passages and questions are from, and both."""

    source: str
    passages: Sequence[str]
    questions: Sequence[str]

    def of_size(self, count: int, seed: int) -> _Corpus:
        """`count` of the passages, drawn by `seed`; made up with passages of words drawn as often as they are here."""
        draw = random.Random(seed)
        if count <= len(self.passages):
            return _Corpus(self.source, draw.sample(self.passages, count), self.questions)
        words = Counter(word for passage in self.passages for word in passage.split())
        names, sums = list(words), list(accumulate(words.values()))
        made = count - len(self.passages)
        drawn = (draw.choices(names, cum_weights=sums, k=draw.randint(_WORDS // 4, _WORDS)) for _ in range(made))
        source = f"{self.source}, and {made:,} passages of words drawn from it by their frequency"
        return _Corpus(source, [*self.passages, *map(" ".join, drawn)], self.questions)


def bench(options: Options, tell: Callable[[str], None]) -> Result:
    """An index against rank-bm25, whose scores it gives, and bm25s by its default and its numba backend."""
    corpus = _corpus(options)
    measured: list[Measured] = []
    quality: dict[str, Any] = {}
    checks: list[Check] = []
    for size, goal in (_QUICK_SIZES if options.quick else SIZES).items():
        part = corpus.of_size(size, options.seed)
        found, checked = _size(part, goal, options, tell)
        measured += found
        quality[f"{size:,} documents"] = {"texts": part.source, **checked}
        different = checked["largest difference from a score of rank-bm25"]
        checks.append(Check(f"difference of scores, {size:,} documents", different, Goal(_EQUAL, 0), "less"))
    notes = ["Questions and passages are cut into the same terms by the same rules, within what is timed, for all."]
    machine = describe(options, "numba", "rank-bm25", "bm25s")
    return Result.of("bm25", measured, quality=quality, machine=machine, notes=notes, checks=checks)


def _corpus(options: Options) -> _Corpus:
    """All collections of a folder together, since none alone may be large; else as other benches have it."""
    if options.collection is None and options.collections is not None:
        folders = sorted(path.parent for path in options.collections.glob(f"*/{beir.CORPUS}"))
        if folders:
            passages = [document.passage for folder in folders for document in beir.documents(folder / beir.CORPUS)]
            questions = [q for folder in folders for q in beir.queries_of(folder / beir.QUERIES).values()]
            return _Corpus(f"all {len(folders)} collections of a folder", passages, questions)
    found = texts(options)
    return _Corpus(found.source, list(found.passages.values()), found.queries)


def _size(
    corpus: _Corpus, goal: Goal | None, options: Options, tell: Callable[[str], None]
) -> tuple[list[Measured], dict[str, Any]]:
    count = len(corpus.passages)
    tell(f"indexing {count:,} documents with each: {corpus.source}")
    terms = [tokenize(passage) for passage in corpus.passages]
    with tempfile.TemporaryDirectory() as scratch:
        Lexical.build(corpus.passages, Path(scratch) / "bm25", None, np.full(count, -1, dtype=np.int64))
        lexical = Lexical.load(Path(scratch) / "bm25", count)
        reference = _rank_bm25(terms)
        others = [_bm25s(terms, backend) for backend in ("numpy", "numba")]
        measured, different = [], 0.0
        for kind, source, each in (("questions", corpus.questions, 4), ("passages", corpus.passages, 1)):
            turn = Turn(_works(source, each if count >= _LARGE else 8 * each, options.seed))
            case = f"{count:,} documents, {kind}"
            peers = [
                Contender(f"rank-bm25, {case}", version("rank-bm25"), _every(turn, reference), "BM25Plus", goal),
                *(
                    Contender(f"bm25s {backend}, {case}", version("bm25s"), _every(turn, search))
                    for backend, search in zip(("numpy", "numba"), others, strict=True)
                ),
            ]
            ours = Contender(f"cascade, {case}", version("cascade-ranking"), _every(turn, _ours(lexical)))
            measured.append(
                interleave(
                    ours,
                    peers,
                    units=len(turn.work),
                    unit="queries/s",
                    rounds=options.rounds,
                    cases=turn.cases,
                    seconds=None if options.seconds is None else options.seconds / (2 * len(SIZES)),
                    tell=tell,
                )
            )
            for query in (query for work in turn.works for query in work):
                different = max(different, _difference(lexical, reference, query))
    lengths = [len(passage) for passage in terms]
    return measured, {
        "terms of a document": round(float(np.mean(lengths)), 1),
        "largest difference from a score of rank-bm25": different,
    }


def _works(source: Sequence[str], each: int, seed: int) -> list[Queries]:
    drawn = random.Random(seed + 1).choices(source, k=_ROUNDS_OF_WORK * each)
    return [tuple(drawn[start : start + each]) for start in range(0, len(drawn), each)]


def _every(turn: Turn[Queries], search: Callable[[str], object]) -> Callable[[], object]:
    return lambda: [search(query) for query in turn.work]


def _ours(lexical: Lexical) -> Callable[[str], object]:
    return lambda query: lexical.search(query, _DEPTH, None)


def _rank_bm25(terms: Tokens) -> Callable[[str], list[tuple[float, int]]]:
    """As its users call it, with the parameters of an index."""
    from rank_bm25 import BM25Plus

    ranker = BM25Plus(terms, k1=K1, b=B, delta=0)

    def search(query: str) -> list[tuple[float, int]]:
        scores = ranker.get_scores(tokenize_query(query))
        return [(float(scores[row]), int(row)) for row in np.argsort(scores)[::-1][:_DEPTH]]

    return search


def _bm25s(terms: Tokens, backend: str) -> Callable[[str], object]:
    """With the same formula, in float32."""
    engine = load_bm25s().BM25(k1=K1, b=B, method="atire", idf_method="bm25+", backend=backend)
    engine.index(terms, show_progress=False)
    depth = min(_DEPTH, len(terms))
    return lambda query: engine.retrieve([tokenize_query(query)], k=depth, show_progress=False)


def _difference(lexical: Lexical, reference: Callable[[str], list[tuple[float, int]]], query: str) -> float:
    """The largest between the scores of the two at any place of their best."""
    expected = np.array([score for score, _ in reference(query) if score > 0])
    found = lexical.search(query, _DEPTH, None)[1]
    if len(found) != len(expected):
        return float("inf")
    return float(np.max(np.abs(found - expected), initial=0.0))

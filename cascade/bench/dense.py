"""Dense retrieval at a million vectors: the best 100 of a question, one question at a time."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade.bench import resident
from cascade.bench.machine import describe
from cascade.bench.measure import Contender, Goal, interleave
from cascade.bench.options import Options
from cascade.bench.result import Check, Result
from cascade.bench.texts import texts
from cascade.bench.turn import Turn
from cascade.index.approximate import RECALL_WANTED
from cascade.index.durable import sync_tree
from cascade.index.flat import load_faiss
from cascade.index.vectors import VectorSearch

if TYPE_CHECKING:
    from cascade.index.info import Vectors

REFERENCE = "embedded:all-minilm-l6-v2"
FLAT = Goal(floor=5, aim=15)
_COUNT, _QUICK_COUNT = 1_000_000, 3_000
_TEXTS, _QUICK_TEXTS = 2_000, 50
_WORDS = 32
_QUESTIONS, _EACH = 100, 5
_CASES = 3
_DEPTH = 100
_TURNED, _NOISE = 0.5, 0.7
_BLOCK = 20_000
_MOST_BYTES = 1e9
_EQUAL = 1e-6


def bench(options: Options, tell: Callable[[str], None]) -> Result:
    """The search of an index with so many vectors, against FAISS looking at all of them in float32."""
    faiss = load_faiss()
    faiss.omp_set_num_threads(options.threads)
    count = _QUICK_COUNT if options.quick else _COUNT
    source, passages, questions = _embedded(options, tell)
    tell(f"drawing {count:,} vectors near those of {len(passages):,} texts")
    vectors = near(passages, count, options.seed)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "vectors"
        tell("building the vectors of an index")
        VectorSearch.build(vectors, _ids(count), folder, None, flat_limit=0)
        sync_tree(folder)  # as an index does before it is searched: else the disk is busy with it meanwhile
        flat = faiss.IndexFlatIP(vectors.shape[1])
        flat.add(vectors)
        least = faiss.knn(questions, vectors, _DEPTH, metric=faiss.METRIC_INNER_PRODUCT)[0][:, -1]
        del vectors
        search = VectorSearch.load(folder)
        turn = Turn([questions[start : start + _EACH] for start in range(0, _CASES * _EACH, _EACH)])
        measured = interleave(
            Contender(
                f"cascade, {count:,} vectors",
                version("cascade-ranking"),
                lambda: [search.search(question, _DEPTH, None) for question in turn.work],
                search.kind,
            ),
            [
                Contender(
                    f"faiss IndexFlatIP, {count:,} vectors",
                    version("faiss-cpu"),
                    lambda: [flat.search(question[None, :], _DEPTH) for question in turn.work],
                    "fp32",
                    FLAT,
                )
            ],
            units=_EACH,
            unit="queries/s",
            rounds=options.rounds,
            cases=turn.cases,
            seconds=options.seconds,
            tell=tell,
        )
        found = [search.search(question, _DEPTH, None)[1] for question in questions]
        recall = float(np.mean([np.mean(scores >= last - _EQUAL) for scores, last in zip(found, least, strict=True)]))
        checks = [Check(f"recall@{_DEPTH}", recall, Goal(RECALL_WANTED, RECALL_WANTED), "more")]
        taken = _resident(folder)
        if taken is not None:
            checks.append(Check("memory of the search", taken, Goal(_MOST_BYTES, _MOST_BYTES), "less", "bytes"))
    quality: dict[str, Any] = {
        f"recall@{_DEPTH} against all, {len(questions)} questions": recall,
        f"recall@{_DEPTH} that its build measured": search.recall,
        "bytes in memory, without pages of mapped files": taken,
        "searched": search.kind,
        "texts": source,
    }
    notes = [
        f"Vectors are drawn near those of {len(passages):,} texts: up to half way to another's, and away by {_NOISE} "
        "times what texts' vectors deviate in each direction.",
        "A single query is searched by one thread, by either.",
    ]
    machine = describe(options, "faiss-cpu")
    return Result.of("dense", measured, quality=quality, machine=machine, notes=notes, checks=checks)


def near(examples: Vectors, count: int, seed: int) -> Vectors:
    """So many vectors of unit length, float32 (count, d), spread about as those of more texts like `examples` would be.

    Each is an example's, moved up to half way to another's, with normal noise of the examples' own covariance. Among
    20,000 texts such vectors are as hard to find in lists as the texts' own.
    """
    draw = np.random.default_rng(seed)
    rows, dimensions = examples.shape
    away = (examples - examples.mean(axis=0)) * np.float32(_NOISE / np.sqrt(rows))
    made = np.empty((count, dimensions), dtype=np.float32)
    values, directions = np.linalg.eigh(away.T @ away)
    spread = (directions * np.sqrt(np.maximum(values, 0))).T.astype(np.float32)
    for start in range(0, count, _BLOCK):
        block = made[start : start + _BLOCK]
        one, other = draw.integers(0, rows, (2, len(block)))
        share = draw.uniform(0, _TURNED, (len(block), 1)).astype(np.float32)
        block[:] = draw.standard_normal((len(block), dimensions), dtype=np.float32) @ spread
        block += (1 - share) * examples[one] + share * examples[other]
        block /= np.linalg.norm(block, axis=1, keepdims=True)
    return made


def _ids(count: int) -> list[str]:
    """Ids of so many documents, sorted."""
    return [f"{number:08}" for number in range(count)]


def _embedded(options: Options, tell: Callable[[str], None]) -> tuple[str, Vectors, Vectors]:
    """Where texts are from, and the vectors of the beginnings of passages and of questions."""
    from cascade.inference.encoder import Encoder

    source = texts(options)
    tell(f"encoding texts of {source.source} by {REFERENCE}")
    encoder = Encoder(REFERENCE, device="cpu", threads=options.threads)
    encoder.ensure_loaded()
    passages = source.sample(_QUICK_TEXTS if options.quick else _TEXTS, options.seed)
    questions = sorted(source.queries)[: _CASES * _EACH if options.quick else _QUESTIONS]
    beginnings = [" ".join(passage.split()[:_WORDS]) for passage in passages]
    return source.source, encoder.encode_documents(beginnings), encoder.encode_documents(questions)


def _resident(folder: Path) -> int | None:
    """The bytes that a process takes for the search in `folder` and a few searches; None where that cannot be told."""
    told = subprocess.run([sys.executable, "-m", resident.__name__, str(folder)], capture_output=True, check=True)
    found: int | None = json.loads(told.stdout)
    return found

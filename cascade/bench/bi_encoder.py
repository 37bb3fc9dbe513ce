"""The bi-encoder: sentences of natural length to vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade.bench.machine import describe
from cascade.bench.measure import Contender, Goal, interleave
from cascade.bench.options import Options
from cascade.bench.result import Result
from cascade.bench.texts import Texts, texts
from cascade.bench.turn import Turn

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from cascade.inference.encoder import Encoder, Vectors

REFERENCE = "embedded:all-minilm-l6-v2"
DEFAULT = Goal(floor=4, aim=8)

_DEPTH = 10


def bench(options: Options, tell: Callable[[str], None]) -> Result:
    """Ours on the backend it chooses, against the library's `encode` as it comes."""
    source = texts(options)
    cases, count = (1, 8) if options.quick else (3, 128)
    drawn = source.sample(cases * count, options.seed)
    count = len(drawn) // cases
    turn = Turn([drawn[start : start + count] for start in range(0, cases * count, count)])
    tell(f"loading {REFERENCE}; texts of {source.source}")
    encoder, library = _ours(options), _library()
    number = version("sentence-transformers")
    measured = interleave(
        Contender("cascade", version("cascade-ranking"), lambda: encoder.encode_documents(turn.work), encoder.backend),
        [Contender("sentence-transformers", number, lambda: _encode(library, turn.work), "encode, fp32", DEFAULT)],
        units=count,
        unit="sentences/s",
        rounds=options.rounds,
        cases=turn.cases,
        seconds=options.seconds,
        tell=tell,
    )
    tell("comparing vectors with those of float32")
    quality = {
        "against": "sentence-transformers, float32",
        **_agreement(encoder, library, source, options),
        "texts": {"source": source.source, "sentences": count, "words": _words(drawn)},
    }
    machine = describe(options, "openvino", "onnxruntime", "numba")
    return Result.of("bi-encoder", measured, quality=quality, machine=machine)


def _ours(options: Options) -> Encoder:
    from cascade.inference.encoder import Encoder

    encoder = Encoder(REFERENCE, device="cpu", threads=options.threads)
    encoder.ensure_loaded()
    return encoder


def _library() -> SentenceTransformer:
    from sentence_transformers import SentenceTransformer

    from cascade.weights import resolve_model

    return SentenceTransformer(resolve_model(REFERENCE), device="cpu")


def _encode(library: SentenceTransformer, sentences: Sequence[str]) -> Vectors:
    found: Any = library.encode(list(sentences), show_progress_bar=False)
    return np.asarray(found, dtype=np.float32)


def _agreement(
    encoder: Encoder, library: SentenceTransformer, source: Texts, options: Options
) -> dict[str, float | int]:
    """Cosines of the vectors of the same texts, and how many of each query's best passages are the same."""
    passages = source.sample(16 if options.quick else 512, options.seed + 1)
    queries = sorted(source.queries)[: 4 if options.quick else 64]
    ours, theirs = encoder.encode_documents(passages), _unit(_encode(library, passages))
    asked, asked_theirs = encoder.encode_documents(queries), _unit(_encode(library, queries))
    cosines = (ours * theirs).sum(axis=1)
    shared = [
        len(set(a) & set(b)) / _DEPTH for a, b in zip(_best(asked, ours), _best(asked_theirs, theirs), strict=True)
    ]
    return {
        "cosine_mean": float(cosines.mean()),
        "cosine_least": float(cosines.min()),
        f"recall@{_DEPTH}": float(np.mean(shared)),
        "passages": len(passages),
        "queries": len(queries),
    }


def _best(queries: Vectors, passages: Vectors) -> list[list[int]]:
    order = np.argsort(-(queries @ passages.T), axis=1, kind="stable")[:, :_DEPTH]
    return [[int(place) for place in row] for row in order]


def _unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def _words(sentences: Sequence[str]) -> float:
    return round(sum(len(sentence.split()) for sentence in sentences) / len(sentences), 1)

"""MaxSim: one query against 1,000 documents' token vectors, as an index stores them and as floats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade.bench.judged import tau
from cascade.bench.machine import describe
from cascade.bench.measure import Contender, Goal, interleave
from cascade.bench.options import Options
from cascade.bench.result import Result
from cascade.bench.texts import texts
from cascade.bench.turn import Turn
from cascade.inference.maxsim import Vectors, maxsim
from cascade.inference.stored_vectors import restored
from cascade.inference.towers.tower import Backend
from cascade.stages import StoredVectors

if TYPE_CHECKING:
    import torch

    from cascade.inference.multi_vector import MultiVectorModel

REFERENCE = "embedded:late-interaction"
BACKEND: Backend = "auto"
"""Of the model, which is not what is measured."""
EINSUM = Goal(floor=5, aim=15)

_ENCODED = 250
"""Documents that are encoded; others are these again, in other memory: encoding a thousand takes most of a minute."""


@dataclass(frozen=True, eq=False)
class _Comparison:
    """A query's vectors, and the same documents' in each of the forms that they are compared in."""

    query: Vectors
    stored: Sequence[StoredVectors]
    floats: Sequence[Vectors]
    padded: torch.Tensor
    """float32 [documents, most tokens, dimensions]; at padding 0"""
    real: torch.Tensor
    """[documents, 1, most tokens]"""


def bench(options: Options, tell: Callable[[str], None]) -> Result:
    """Ours over stored vectors and over floats, against PyTorch's einsum over padded floats."""
    import torch

    count, queries = (16, 1) if options.quick else (1000, 3)
    source = texts(options)
    tell(f"loading {REFERENCE}; texts of {source.source}")
    model = _model(options)
    tell(f"encoding {min(count, _ENCODED)} documents")
    passages = source.sample(min(count, _ENCODED), options.seed)
    documents = _repeated(model.encode_documents(passages), count)
    asked = sorted(source.queries)[:: max(1, len(source.queries) // queries)][:queries]
    turn = Turn(_comparisons([_query(model, query) for query in asked], documents))
    threads, number = options.threads, version("cascade-ranking")
    measured = interleave(
        Contender("cascade", number, lambda: maxsim(turn.work.query, turn.work.stored, threads=threads), "int8"),
        [
            Contender("PyTorch einsum", torch.__version__, lambda: _einsum(turn.work), "fp32, padded", EINSUM),
            Contender("PyTorch einsum, masked", torch.__version__, lambda: _masked(turn.work), "fp32, padded"),
        ],
        also=[
            Contender(
                "cascade, fp32", number, lambda: maxsim(turn.work.query, turn.work.floats, threads=threads), "fp32"
            ),
        ],
        units=count,
        unit="documents/s",
        rounds=options.rounds,
        cases=turn.cases,
        seconds=options.seconds,
        tell=tell,
    )
    tell("comparing scores with those of float32")
    quality = {**_agreement(turn.works), "texts": _sizes(source.source, turn.works[0], len(passages))}
    return Result.of("late-interaction", measured, quality=quality, machine=describe(options, "numba"))


def _model(options: Options) -> MultiVectorModel:
    from cascade.inference.multi_vector import MultiVectorModel

    model = MultiVectorModel(REFERENCE, device="cpu", backend=BACKEND, threads=options.threads)
    model.ensure_loaded()
    return model


def _query(model: MultiVectorModel, query: str) -> Vectors:
    """As many vectors as a query of 32 tokens has: its own again, where they are fewer."""
    vectors = model.encode_query(query, max_tokens=32)
    return np.resize(vectors, (32, vectors.shape[1]))


def _repeated(documents: Sequence[StoredVectors], count: int) -> list[StoredVectors]:
    found = [documents[row % len(documents)] for row in range(count)]
    return [StoredVectors(one.vectors.copy(), one.scale.copy(), one.tokens_seen, one.tokens_total) for one in found]


def _comparisons(queries: Sequence[Vectors], documents: Sequence[StoredVectors]) -> list[_Comparison]:
    import torch

    lengths = np.array([len(one.vectors) for one in documents], dtype=np.int64)
    floats = [restored(one) for one in documents]
    padded = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(one) for one in floats], batch_first=True)
    real = torch.arange(padded.shape[1])[None, None] < torch.from_numpy(lengths)[:, None, None]
    return [_Comparison(query, documents, floats, padded, real) for query in queries]


def _einsum(work: _Comparison) -> Vectors:
    """As it is written down: a document whose every cosine with a token is below 0 gets the 0 of its padding."""
    import torch

    with torch.inference_mode():
        cosines = torch.einsum("qd,ntd->nqt", torch.from_numpy(work.query), work.padded)
        return cosines.amax(dim=2).sum(dim=1).numpy()


def _masked(work: _Comparison) -> Vectors:
    """Without that mistake."""
    import torch

    with torch.inference_mode():
        cosines = torch.einsum("qd,ntd->nqt", torch.from_numpy(work.query), work.padded)
        return cosines.masked_fill(~work.real, -torch.inf).amax(dim=2).sum(dim=1).numpy()


def _agreement(works: Sequence[_Comparison]) -> dict[str, Any]:
    """Of our scores with PyTorch's over the same vectors in float32, on the scale from -1 to 1."""
    theirs = [(_masked(work) / np.linalg.norm(work.query, axis=1).sum()).tolist() for work in works]
    stored = [maxsim(work.query, work.stored).tolist() for work in works]
    floats = [maxsim(work.query, work.floats).tolist() for work in works]

    def largest(ours: Sequence[Sequence[float]]) -> float:
        return float(max(np.abs(np.subtract(one, other)).max() for one, other in zip(ours, theirs, strict=True)))

    return {
        "against": "PyTorch einsum, masked, float32, of the same stored vectors",
        "largest_difference": largest(stored),
        "largest_difference_fp32": largest(floats),
        "kendall_tau": tau(stored, theirs),
    }


def _sizes(source: str, work: _Comparison, encoded: int) -> dict[str, Any]:
    return {
        "source": source,
        "documents": len(work.stored),
        "encoded": encoded,
        "tokens": sum(len(one) for one in work.floats),
        "padded_tokens": work.padded.shape[0] * work.padded.shape[1],
        "query_tokens": len(work.query),
        "dimensions": work.query.shape[1],
    }

"""Measures what a backend that rounds costs a model in quality and gives in speed, on judged candidates."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cascade.budget import Budget
from cascade.errors import InvalidInputError, Violation
from cascade.evaluate import candidates as own
from cascade.evaluate import collection as collections
from cascade.evaluate.collection import Collection
from cascade.evaluate.measures import score, without
from cascade.evaluate.significance import compare, interval
from cascade.inference.towers.records import Measured

if TYPE_CHECKING:
    from cascade.inference.model import ServedModel
    from cascade.inference.towers.tower import BackendName

Kind = Literal["cross_encoder", "bi_encoder", "late_interaction", "joint"]
Scorer = Callable[[str, Sequence[str]], Awaitable[Sequence[float]]]
"""A query and passages to a score each, higher is better."""

REFERENCE: BackendName = "torch-fp32"
_MEASURE = "nDCG@10"
_KINDS: dict[str, Kind] = {
    "CrossEncoder": "cross_encoder",
    "SentenceTransformer": "bi_encoder",
    "MultiVectorEncoder": "late_interaction",
    "ColBERT": "late_interaction",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A judged collection whose queries have `depth` candidates at most, from a run or by BM25."""

    collection: Collection
    depth: int

    @property
    def candidates(self) -> Mapping[str, tuple[str, ...]]:
        """By query, without those that are excluded for it."""
        assert self.collection.candidates is not None
        return without(self.collection.candidates.by_query, self.collection.excluded)


def kind_of(reference: str) -> Kind:
    """What kind of model it is, by the files of its folder. Raises InvalidInputError, ModelLoadError."""
    import json

    from sentence_transformers.util import load_file_path

    from cascade.rerank.listwise.checkpoint import SETTINGS
    from cascade.weights import resolve_model

    folder = resolve_model(reference)

    def told(name: str) -> object:
        path = load_file_path(folder, name)
        return json.loads(Path(path).read_text(encoding="utf-8")) if path else {}

    if told(SETTINGS):
        return "joint"
    settings, config = told("config_sentence_transformers.json"), told("config.json")
    named = settings.get("model_type") if isinstance(settings, dict) else None
    if named in _KINDS:
        return _KINDS[named]
    architectures = (config.get("architectures") or []) if isinstance(config, dict) else []
    if any(name.endswith("ForSequenceClassification") for name in architectures):
        return "cross_encoder"
    if "HF_ColBERT" in architectures:
        return "late_interaction"
    if told("modules.json"):
        return "bi_encoder"
    expected = ", ".join(get_args(Kind))
    message = f"its files do not say what kind of model {reference!r} is, expected {expected}; say it by --kind"
    raise InvalidInputError([Violation("model", message)])


def read(reference: str, split: str, run: Path | None, depth: int, queries: int, seed: int) -> Asked:
    """The collection's first `depth` candidates of `queries` of its queries.

    Raises what reading a collection or a run raises.
    """
    if run is None:
        found = collections.read(reference, split).sample(queries, seed)
        if found.candidates is None:
            by_query = _by_bm25(found, depth)
            found = own.with_run(found, collections.Candidates("run", by_query))
        return Asked(found, depth)
    given = own.read_run(run, depth)
    wanted = {doc_id for doc_ids in given.by_query.values() for doc_id in doc_ids}
    whole = collections.read(reference, split, lambda _: wanted)
    # Of queries that the run lacks nothing could be ranked, with either backend.
    inside = whole.only(set(given.by_query), "only queries of the run")
    return Asked(own.with_run(inside if inside.queries else whole, given).sample(queries, seed), depth)


def model_of(kind: Kind, reference: str, backend: BackendName, threads: int) -> ServedModel:
    """Not loaded yet."""
    from cascade.inference.cross_encoder import CrossEncoderModel
    from cascade.inference.encoder import Encoder
    from cascade.inference.multi_vector import MultiVectorModel
    from cascade.rerank.listwise.joint_model import JointModel

    kinds: dict[Kind, type[ServedModel]] = {
        "cross_encoder": CrossEncoderModel,
        "bi_encoder": Encoder,
        "late_interaction": MultiVectorModel,
        "joint": JointModel,
    }
    return kinds[kind](reference, device="cpu", threads=threads, backend=backend)


def scorer(model: ServedModel) -> Scorer:
    """How the model scores candidates, with the settings that its tiers have by default."""
    from cascade.inference.cross_encoder import CrossEncoderModel
    from cascade.inference.encoder import Encoder
    from cascade.inference.multi_vector import MultiVectorModel
    from cascade.rerank.listwise.joint_model import JointModel

    async def cross(query: str, passages: Sequence[str]) -> Sequence[float]:
        assert isinstance(model, CrossEncoderModel)
        return model.score_pairs(query, passages, max_length=256, max_batch_tokens=4096).scores

    async def late(query: str, passages: Sequence[str]) -> Sequence[float]:
        assert isinstance(model, MultiVectorModel)
        return model.score_documents(query, passages).scores

    async def joint(query: str, passages: Sequence[str]) -> Sequence[float]:
        assert isinstance(model, JointModel)
        return model.score(query, passages, max_doc_tokens=256, max_block_tokens=2048).scores

    async def dense(query: str, passages: Sequence[str]) -> Sequence[float]:
        assert isinstance(model, Encoder)
        vector, _ = await model.encode_query(query, budget=Budget())
        encoded = await model.encode_passages(passages, budget=Budget())
        return [float(one) for one in encoded.vectors @ vector]

    if isinstance(model, CrossEncoderModel):
        return cross
    if isinstance(model, JointModel):
        return joint
    return late if isinstance(model, MultiVectorModel) else dense


async def measure(
    asked: Asked, reference: Scorer, rounded: Scorer, *, seed: int = 0, tell: Callable[[], None] = lambda: None
) -> Measured:
    """Rank every query's candidates by both, in turns, and compare. `tell` is called once a query."""
    passages = {document.doc_id: document.passage for document in asked.collection.documents}
    runs: tuple[dict[str, tuple[str, ...]], ...] = ({}, {})
    took = [0.0, 0.0]
    taus: list[float] = []
    count = 0
    for number, (query_id, text) in enumerate(asked.collection.queries.items()):
        doc_ids = [d for d in asked.candidates.get(query_id, ()) if d in passages]
        if doc_ids:
            texts = [passages[d] for d in doc_ids]
            scores: list[NDArray[np.float64]] = [np.zeros(0)] * 2
            for which in (0, 1) if number % 2 else (1, 0):  # whoever is second may find the processor warmer
                start = time.perf_counter()
                scores[which] = np.asarray(await (reference, rounded)[which](text, texts), dtype=np.float64)
                if number:  # the first query warms both up
                    took[which] += time.perf_counter() - start
                runs[which][query_id] = _ranked(doc_ids, scores[which])
            taus.append(_kendall_tau(*scores))
            count += len(doc_ids)
        tell()
    before, after = (score(run, asked.collection.qrels, (_MEASURE,))[_MEASURE] for run in runs)
    loss = interval(before - after, seed=seed)
    return Measured(
        collection=asked.collection.name,
        split=asked.collection.split,
        queries=len(before),
        candidates=round(count / max(len(taus), 1)),
        ndcg_fp32=round(float(before.mean()), 4),
        ndcg=round(float(after.mean()), 4),
        loss=round(loss.mean, 5),
        low=round(loss.low, 5),
        high=round(loss.high, 5),
        p=round(compare(after, before, stage=REFERENCE, seed=seed).p, 4),
        kendall_tau=round(float(np.mean(taus)), 4),
        speed=round(took[0] / took[1], 3) if took[1] else 1.0,
    )


def _by_bm25(collection: Collection, depth: int) -> dict[str, tuple[str, ...]]:
    from cascade.index.lexical import Lexical

    documents = collection.documents
    with TemporaryDirectory(prefix="cascade-quantize-") as scratch:
        folder = Path(scratch) / "bm25"
        Lexical.build([one.passage for one in documents], folder, None, np.full(len(documents), -1, dtype=np.int64))
        lexical = Lexical.load(folder, len(documents))
        found = {q: lexical.search(text, depth, None)[0].tolist() for q, text in collection.queries.items()}
    return {q: tuple(documents[row].doc_id for row in rows) for q, rows in found.items() if rows}


def _ranked(doc_ids: Sequence[str], scores: NDArray[np.float64]) -> tuple[str, ...]:
    """As the engine ranks: by score, then by id."""
    return tuple(doc_id for _, doc_id in sorted(zip((-scores).tolist(), doc_ids, strict=True)))


def _kendall_tau(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """tau-b of the two orders; 1 where there is nothing to order."""
    from scipy.stats import kendalltau

    found = float(kendalltau(first, second).statistic) if len(first) > 1 else 1.0
    return found if np.isfinite(found) else 1.0

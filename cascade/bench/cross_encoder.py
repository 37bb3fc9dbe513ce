"""The cross-encoder: 100 documents of natural length against a query, from text, from token ids and in eight bits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from cascade.bench.judged import Scorer, losses, tau
from cascade.bench.machine import describe
from cascade.bench.measure import Contender, Goal, interleave
from cascade.bench.options import Options
from cascade.bench.peers import plain
from cascade.bench.peers.together import Peer, together
from cascade.bench.result import Result
from cascade.bench.texts import Work, texts
from cascade.bench.turn import Turn
from cascade.inference.towers import native

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

    from cascade.inference.cross_encoder import CrossEncoderModel
    from cascade.inference.towers.tower import Backend

REFERENCE = "embedded:cross-encoder"
DEFAULT = Goal(floor=4, aim=8)
INT8 = Goal(floor=1.3, aim=2)

_MOST_TOKENS = 256  # of a pair; the model itself reads 128, and so do its peers
_BATCH_TOKENS = 4096
_OURS = "cascade"
_EIGHT_BITS = "cascade, native-int8"
_PLAIN = "cascade, native-int8, plain BERT"
_LIBRARY = "sentence-transformers"
_APART = (
    Peer("openvino-int8", f"{_LIBRARY}, OpenVINO int8", INT8),
    Peer("flashrank", "FlashRank"),
    Peer("rerankers", "rerankers"),
    Peer("infinity", "infinity-emb", apart="infinity"),
)


def bench(options: Options, tell: Callable[[str], None]) -> Result:
    """Ours on the backend it chooses, against the library's default on the same weights, and others on a like model."""
    queries, depth = (1, 4) if options.quick else (3, 100)
    source = texts(options)
    turn = Turn(source.work(queries, depth, options.seed))
    tell(f"loading {REFERENCE}; texts of {source.source}")
    model = _ours(REFERENCE, options)
    rounded = _in_eight_bits(options) if native.available() else {}
    library, bare = _library(REFERENCE), _library(str(plain.folder(REFERENCE)))
    with together(_APART, REFERENCE, turn, options, tell) as (apart, notes):
        measured = interleave(
            Contender(_OURS, version("cascade-ranking"), lambda: _score(model, turn.work), model.backend),
            [*_in_process(library, bare, turn), *apart],
            also=[_from_ids(model, turn), *(_named(name, one, turn) for name, one in rounded.items())],
            units=depth,
            unit="pairs/s",
            rounds=options.rounds,
            cases=turn.cases,
            seconds=options.seconds,
            tell=tell,
        )
    classifier = rounded.pop(_PLAIN, None)
    quality, checks, missing = _quality(options, {_OURS: model, **rounded}, library, turn.works, tell)
    if classifier is not None:
        quality["kendall_tau"] |= _agreement({_PLAIN: classifier}, bare, turn.works)
    quality["texts"] = {"source": source.source, "queries": queries, "documents": depth, "tokens": _tokens(model, turn)}
    machine = describe(options, "openvino", "onnxruntime", "numba")
    return Result.of(
        "cross-encoder", measured, quality=quality, machine=machine, notes=[*notes, *missing], checks=checks
    )


def _ours(reference: str, options: Options, backend: Backend = "auto") -> CrossEncoderModel:
    from cascade.inference.cross_encoder import CrossEncoderModel

    model = CrossEncoderModel(reference, device="cpu", backend=backend, threads=options.threads)
    model.ensure_loaded()
    return model


def _in_eight_bits(options: Options) -> dict[str, CrossEncoderModel]:
    """By name, whatever `auto` takes: our model, and the plain classifier that peers in processes of their own run."""
    references = {_EIGHT_BITS: REFERENCE, _PLAIN: str(plain.folder(REFERENCE))}
    return {name: _ours(reference, options, "native-int8") for name, reference in references.items()}


def _library(folder: str) -> CrossEncoder:
    """As the library loads and runs it by default, in float32."""
    from cascade.inference.pair_encoder import load_cross_encoder
    from cascade.weights import resolve_model

    return load_cross_encoder(resolve_model(folder), device="cpu")


def _score(model: CrossEncoderModel, work: Work) -> Sequence[float]:
    return model.score_pairs(work.query, work.passages, max_length=_MOST_TOKENS, max_batch_tokens=_BATCH_TOKENS).scores


def _scored(model: CrossEncoderModel, query: str, passages: Sequence[str]) -> Sequence[float]:
    return _score(model, Work(query, tuple(passages)))


def _from_ids(model: CrossEncoderModel, turn: Turn[Work]) -> Contender:
    """Only the query is tokenised, as for documents of an index, which keeps their token ids."""
    tokeniser = model.tokeniser()
    assert tokeniser is not None  # an embedded model has one
    stored = [tokeniser(work.passages) for work in turn.works]

    def run() -> object:
        ids = stored[turn.number]
        return model.score_pairs(turn.work.query, ids, max_length=_MOST_TOKENS, max_batch_tokens=_BATCH_TOKENS)

    return Contender(f"{_OURS}, stored token ids", version("cascade-ranking"), run, model.backend)


def _named(name: str, model: CrossEncoderModel, turn: Turn[Work]) -> Contender:
    return Contender(name, version("cascade-ranking"), lambda: _score(model, turn.work), model.backend)


def _in_process(library: CrossEncoder, bare: CrossEncoder, turn: Turn[Work]) -> list[Contender]:
    """The library's default on our weights and on a plain classifier of the same size, and in bfloat16."""
    import torch

    number = version("sentence-transformers")

    def reduced() -> Sequence[float]:
        with torch.autocast("cpu", torch.bfloat16):
            return _predict(library, turn.work.query, turn.work.passages)

    return [
        Contender(
            _LIBRARY,
            number,
            lambda: _predict(library, turn.work.query, turn.work.passages),
            "fp32, our weights",
            DEFAULT,
        ),
        Contender(
            f"{_LIBRARY}, plain BERT",
            number,
            lambda: _predict(bare, turn.work.query, turn.work.passages),
            f"fp32, {plain.SAYS}",
            DEFAULT,
        ),
        Contender(f"{_LIBRARY}, bf16", number, reduced, "autocast to bfloat16, our weights"),
    ]


def _predict(library: CrossEncoder, query: str, passages: Sequence[str]) -> Sequence[float]:
    scores: Any = library.predict([(query, passage) for passage in passages], show_progress_bar=False)
    return [float(score) for score in scores]


def _agreement(ours: Mapping[str, CrossEncoderModel], library: CrossEncoder, works: Sequence[Work]) -> dict[str, float]:
    """Kendall's tau of each with the scores of the same weights in float32."""
    theirs = [_predict(library, work.query, work.passages) for work in works]
    return {name: tau([_score(model, work) for work in works], theirs) for name, model in ours.items()}


def _tokens(model: CrossEncoderModel, turn: Turn[Work]) -> int:
    """On average, of a pair, as far as it is read."""
    read = [
        model.score_pairs(w.query, w.passages, max_length=_MOST_TOKENS, max_batch_tokens=_BATCH_TOKENS).tokens
        for w in turn.works
    ]
    return round(sum(read) / sum(len(work.passages) for work in turn.works))


def _quality(
    options: Options,
    ours: Mapping[str, CrossEncoderModel],
    library: CrossEncoder,
    works: Sequence[Work],
    tell: Callable[[str], None],
) -> tuple[dict[str, Any], list[Any], list[str]]:
    """Agreement with the library in float32 on these texts, and nDCG@10 of both where there are judgments."""
    tell("comparing scores with those of float32")
    found: dict[str, Any] = {"kendall_tau": _agreement(ours, library, works)}
    if options.collections is None:
        return found, [], []
    tell("measuring nDCG@10 on development collections")
    scorers: dict[str, Scorer] = {name: partial(_scored, model) for name, model in ours.items()}
    scorers["float32"] = partial(_predict, library)
    queries = 2 if options.quick else None
    on, checks, notes = losses(options.collections, scorers, "float32", queries=queries, seed=options.seed)
    return {**found, "nDCG@10": on}, checks, notes

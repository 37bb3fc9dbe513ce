"""Every backend that there is here, against float32 on torch: speed, agreement, padding, and bits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cascade.bench import bi_encoder, cross_encoder, same_bits
from cascade.bench.judged import tau
from cascade.bench.machine import describe
from cascade.bench.measure import Contender, Goal, Measured, interleave
from cascade.bench.options import Options
from cascade.bench.result import Result
from cascade.bench.texts import Texts, Work, texts
from cascade.bench.turn import Turn

if TYPE_CHECKING:
    from cascade.inference.cross_encoder import CrossEncoderModel
    from cascade.inference.encoder import Encoder, Vectors
    from cascade.inference.towers.tower import BackendName

BASE: BackendName = "torch-fp32"
PRICE = Goal(floor=1 / 1.3, aim=1 / 1.1)
"""Of the speed without it, what `deterministic` keeps at a cost of 30 and of 10 per cent."""

_MOST_TOKENS = 256
_BATCH_TOKENS = 4096
_MIXES = 1000
_COMPILED: BackendName = "torch-compiled"


def bench(options: Options, tell: Callable[[str], None]) -> Result:
    """The embedded cross-encoder and bi-encoder on each, and what same bits cost on the one that is chosen."""
    source = texts(options)
    queries, depth = (1, 4) if options.quick else (2, 32)
    turn = Turn(source.work(queries, depth, options.seed))
    part = replace(options, seconds=options.seconds and options.seconds / 3)
    pairs, pair_quality, notes = _pairs(turn, depth, part, tell)
    sentences, sentence_quality, more = _sentences(source, 2 * depth, part, tell)
    steady = _steady(part)
    price = _price(turn, depth, steady, part, tell)
    tell("mixing batches")
    check = same_bits.mixes(steady, turn.work, 5 if options.quick else _MIXES, options.seed)
    quality = {"cross-encoder": pair_quality, "bi-encoder": sentence_quality, "texts": source.source}
    machine = describe(options, "openvino", "nncf", "onnxruntime", "numba")
    return Result.of(
        "backends",
        [pairs, sentences, price],
        quality=quality,
        machine=machine,
        notes=list(dict.fromkeys([*notes, *more])),
        checks=[check],
    )


def _pairs(
    turn: Turn[Work], depth: int, options: Options, tell: Callable[[str], None]
) -> tuple[Measured, dict[str, Any], list[str]]:
    from cascade.inference.cross_encoder import CrossEncoderModel

    notes: list[str] = []
    models: dict[BackendName, CrossEncoderModel] = {}
    for name in _available(options, notes):
        model = CrossEncoderModel(cross_encoder.REFERENCE, device="cpu", threads=options.threads, backend=name)
        if _loads(model, name, tell, notes):
            models[name] = model
    runs = {name: _scoring(model, turn) for name, model in models.items()}
    measured = _each("cross-encoder", runs, depth, "pairs/s", turn.cases, options, tell)
    scores = {name: [_score(model, work) for work in turn.works] for name, model in models.items()}
    quality: dict[str, Any] = {
        name: {"kendall_tau": tau(found, scores[BASE]), "same_bits_as_alone": _same_bits(models[name], turn.work)}
        for name, found in scores.items()
    }
    return measured, {**quality, "padding_where_batches_are_padded": _padding(models[BASE], turn.works)}, notes


def _sentences(
    source: Texts, count: int, options: Options, tell: Callable[[str], None]
) -> tuple[Measured, dict[str, Any], list[str]]:
    from cascade.inference.encoder import Encoder

    drawn = source.sample(count, options.seed)
    notes: list[str] = []
    encoders: dict[BackendName, Encoder] = {}
    for name in _available(options, notes):
        encoder = Encoder(bi_encoder.REFERENCE, device="cpu", threads=options.threads, backend=name)
        if _loads(encoder, name, tell, notes):
            encoders[name] = encoder
    runs = {name: _encoding(encoder, drawn) for name, encoder in encoders.items()}
    measured = _each("bi-encoder", runs, len(drawn), "sentences/s", (), options, tell)
    vectors: dict[BackendName, Vectors] = {name: encoder.encode_documents(drawn) for name, encoder in encoders.items()}
    quality: dict[str, Any] = {
        name: {"cosine_least": float((found * vectors[BASE]).sum(axis=1).min())} for name, found in vectors.items()
    }
    return measured, quality, notes


def _each(
    kind: str,
    runs: dict[BackendName, Callable[[], object]],
    units: int,
    unit: str,
    cases: Sequence[Callable[[], object]],
    options: Options,
    tell: Callable[[str], None],
) -> Measured:
    """Every backend but float32 on torch is ours, that one is the peer; where there is no other it is both."""
    others = [name for name in runs if name != BASE] or [BASE]
    first, *rest = [Contender(f"{kind}, {name}", _version(name), runs[name]) for name in others]
    base = Contender(f"{kind}, {BASE}", _version(BASE), runs[BASE])
    return interleave(
        first,
        [base],
        also=rest,
        units=units,
        unit=unit,
        rounds=options.rounds,
        cases=cases,
        seconds=options.seconds,
        tell=tell,
    )


def _steady(options: Options) -> CrossEncoderModel:
    from cascade.inference.cross_encoder import CrossEncoderModel

    model = CrossEncoderModel(cross_encoder.REFERENCE, device="cpu", threads=options.threads, deterministic=True)
    model.ensure_loaded()
    return model


def _price(
    turn: Turn[Work], depth: int, steady: CrossEncoderModel, options: Options, tell: Callable[[str], None]
) -> Measured:
    """The chosen backend with and without the promise."""
    from cascade.inference.cross_encoder import CrossEncoderModel

    free = CrossEncoderModel(cross_encoder.REFERENCE, device="cpu", threads=options.threads)
    free.ensure_loaded()
    return interleave(
        Contender(f"deterministic, {steady.backend}", _version(steady.backend), _scoring(steady, turn)),
        [Contender(f"not deterministic, {free.backend}", _version(free.backend), _scoring(free, turn), goal=PRICE)],
        units=depth,
        unit="pairs/s",
        rounds=options.rounds,
        cases=turn.cases,
        seconds=options.seconds,
        tell=tell,
    )


def _available(options: Options, notes: list[str]) -> Sequence[BackendName]:
    """All, but the one that compiles only where there is no limit of time: that takes a minute, or several."""
    from cascade.inference.towers.choice import available

    here = available("cpu")
    if (options.quick or options.seconds is not None) and _COMPILED in here:
        notes.append(f"{_COMPILED} is left out for want of time: compiling takes longer than all else here")
        return [name for name in here if name != _COMPILED]
    return here


def _loads(model: CrossEncoderModel | Encoder, name: str, tell: Callable[[str], None], notes: list[str]) -> bool:
    from cascade.errors import ModelLoadError

    tell(f"loading {model.reference} on {name}")
    try:
        model.ensure_loaded()
    except ModelLoadError as error:
        notes.append(f"{model.reference} does not load on {name}: {error.reason}")
        return False
    return True


def _score(model: CrossEncoderModel, work: Work) -> Sequence[float]:
    return model.score_pairs(work.query, work.passages, max_length=_MOST_TOKENS, max_batch_tokens=_BATCH_TOKENS).scores


def _scoring(model: CrossEncoderModel, turn: Turn[Work]) -> Callable[[], object]:
    return lambda: _score(model, turn.work)


def _encoding(encoder: Encoder, sentences: Sequence[str]) -> Callable[[], object]:
    return lambda: encoder.encode_documents(sentences)


def _same_bits(model: CrossEncoderModel, work: Work) -> bool:
    """Whether each passage alone gets what it gets in a batch."""
    alone = [_score(model, Work(work.query, (passage,)))[0] for passage in work.passages[:8]]
    return alone == list(_score(model, Work(work.query, work.passages[:8])))


def _padding(model: CrossEncoderModel, works: Sequence[Work]) -> float:
    """The share of padding in the batches of backends that pad; torch does so for attention alone, ours nowhere."""
    from cascade.inference.towers.padded import groups

    tokeniser = model.tokeniser()
    assert tokeniser is not None  # an embedded model has one
    real = padded = 0
    for work in works:
        query, *passages = tokeniser([work.query, *work.passages])
        lengths = [min(_MOST_TOKENS, query.total + passage.total + 4) for passage in passages]
        for rows in groups(lengths, model.most_step_tokens):
            real += sum(lengths[row] for row in rows)
            padded += len(rows) * max(lengths[row] for row in rows)
    return round(1 - real / padded, 4)


def _version(backend: str) -> str:
    from importlib.metadata import version

    runtime = {"torch": "torch", "openvino": "openvino", "onnx": "onnxruntime", "native": "cascade-ranking"}
    package = runtime[backend.partition("-")[0]]
    return f"{package} {version(package)}"

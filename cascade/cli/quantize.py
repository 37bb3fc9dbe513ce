"""`cascade quantize`: what an int8 backend costs a model in quality, and gives in speed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cascade.cli.options import AsJson
from cascade.cli.output import print_json, print_table, table

if TYPE_CHECKING:
    from cascade.evaluate.quantize import Asked, Kind
    from cascade.inference.towers.records import Measured, Record


class Int8(StrEnum):
    """Backends that round to int8."""

    NATIVE = "native-int8"
    OPENVINO = "openvino-int8"
    ONNX = "onnx-int8"


class ModelKind(StrEnum):
    """What a model is."""

    CROSS_ENCODER = "cross_encoder"
    BI_ENCODER = "bi_encoder"
    LATE_INTERACTION = "late_interaction"
    JOINT = "joint"


def run(
    model: Annotated[str, typer.Argument(help="embedded:NAME, a model folder, or a hub id.", show_default=False)],
    collection: Annotated[
        list[str],
        typer.Option(
            help="A judged collection, as for `cascade eval`; again for each further one.", show_default=False
        ),
    ],
    backend: Annotated[Int8, typer.Option(help="The backend to measure against torch-fp32.")] = Int8.NATIVE,
    kind: Annotated[
        ModelKind | None, typer.Option(help="What the model is; read from its files if not given.", show_default=False)
    ] = None,
    split: Annotated[
        list[str] | None,
        typer.Option(help="Which judgments: one for all collections, or one for each. [default: test]"),
    ] = None,
    run_file: Annotated[
        list[str] | None,
        typer.Option(
            "--run",
            help="TREC run whose documents are the candidates, one for each collection, or 'bm25'. [default: bm25]",
        ),
    ] = None,
    queries: Annotated[int, typer.Option(min=2, help="The most queries of a collection, drawn at random.")] = 200,
    depth: Annotated[int, typer.Option(min=2, help="The most candidates of a query.")] = 50,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads; one for each core if not given.")] = None,
    seed: Annotated[int, typer.Option(help="Decides which queries are drawn, and intervals.")] = 0,
    save_beside: Annotated[
        bool, typer.Option("--save-beside", help="Write the record into the model's folder, not into the cache.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure what an int8 backend costs a model in nDCG@10, and keep that as a record.

    The same candidates are ranked in float32 and in int8. `backend: auto` takes int8 only where such a record, of
    exactly these weights, has a loss of at most 0.002 on each collection.
    """
    from cascade.evaluate import quantize
    from cascade.inference.device import hide_loading_bars
    from cascade.inference.towers import records

    splits = _for_each(split or ["test"], len(collection), "--split")
    runs = _for_each(run_file or ["bm25"], len(collection), "--run")
    place = _beside(model) if save_beside else None
    hide_loading_bars()
    found: Kind = quantize.kind_of(model) if kind is None else kind.value
    asked = [
        quantize.read(one, split, None if run == "bm25" else Path(run), depth, queries, seed)
        for one, split, run in zip(collection, splits, runs, strict=True)
    ]
    record = asyncio.run(_measured(found, model, backend, asked, threads, seed))
    place = place or records.cached_file(record.weights)
    try:
        record = records.write(record, place)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if as_json:
        print_json(
            {"model": model, "kind": found, **asdict(record), "acceptable": record.acceptable, "file": str(place)}
        )
        return
    _print(record)
    typer.echo(f"written to {place}")


async def _measured(
    kind: Kind, model: str, backend: Int8, asked: Sequence[Asked], threads: int | None, seed: int
) -> Record:
    import torch

    from cascade.errors import ModelLoadError
    from cascade.evaluate import quantize
    from cascade.evaluate.progress import count
    from cascade.inference.towers.choice import processor, runtime
    from cascade.inference.towers.records import Record

    if threads is not None:
        torch.set_num_threads(threads)
    threads = torch.get_num_threads()
    both = [quantize.model_of(kind, model, one, threads) for one in (quantize.REFERENCE, backend.value)]
    try:
        with count(f"loading {model}", len(both)) as loaded:
            for served in both:
                await asyncio.to_thread(served.ensure_loaded)
                loaded()
        weights = both[1].weights
        if not weights:
            raise ModelLoadError(model, "only its own library runs it, so that there is no int8 backend for it")
        scorers = [quantize.scorer(one) for one in both]
        measured = []
        for one in asked:
            with count(
                f"ranking {one.collection.name} in fp32 and {backend.value}", len(one.collection.queries)
            ) as tell:
                measured.append(await quantize.measure(one, *scorers, seed=seed, tell=tell))
    finally:
        for served in both:
            await served.aclose()
    return Record(weights, backend.value, runtime(backend.value), processor(), threads, tuple(measured))


def _for_each(given: list[str], count: int, option: str) -> list[str]:
    if len(given) not in (1, count):
        raise typer.BadParameter(
            f"{option} was given {len(given)} times, expected once, or {count} times: once a collection"
        )
    return given * count if len(given) == 1 else given


def _beside(model: str) -> Path:
    """The file of records beside the model's weights."""
    from cascade.inference.towers.records import FILE, shipped_file
    from cascade.weights import resolve_model
    from cascade.weights.resolver import PREFIX

    if model.startswith(PREFIX):
        return shipped_file(model.removeprefix(PREFIX))
    folder = Path(resolve_model(model))
    if not folder.is_dir():
        raise typer.BadParameter(f"--save-beside needs a model folder, found the hub id {model!r}")
    return folder / FILE


def _print(record: Record) -> None:
    from cascade.inference.towers.records import MOST_LOSS

    measured = record.collections
    shown = table(
        "", *(f"{one.collection} {one.split}" for one in measured), numbers=tuple(range(1, len(measured) + 1))
    )
    rows: dict[str, Callable[[Measured], str]] = {
        "queries": lambda one: f"{one.queries:,}",
        "candidates of a query": lambda one: f"{one.candidates:,}",
        "nDCG@10, torch-fp32": lambda one: f"{one.ndcg_fp32:.4f}",
        f"nDCG@10, {record.backend}": lambda one: f"{one.ndcg:.4f}",
        "loss": lambda one: f"{one.loss:.4f}",
        "its 95 % interval": lambda one: f"{one.low:.4f} to {one.high:.4f}",
        "p": lambda one: f"{one.p:.4f}",
        "Kendall tau": lambda one: f"{one.kendall_tau:.4f}",
        "times as fast": lambda one: f"{one.speed:.2f}",
    }
    for name, cell in rows.items():
        shown.add_row(name, *(cell(one) for one in measured))
    print_table(shown)
    if record.acceptable:
        typer.echo(f"backend: auto may take {record.backend}: no loss is more than {MOST_LOSS}")
    else:
        worst = max(record.collections, key=lambda one: one.loss)
        typer.echo(
            f"backend: auto does not take {record.backend}: the loss on {worst.collection} is {worst.loss:.4f}, "
            f"more than {MOST_LOSS}"
        )

"""`cascade quickstart`: the whole of Cascade on text that every machine has, Python's own documentation."""

from __future__ import annotations

import asyncio
import platform
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cascade.cli import shapes
from cascade.cli.options import AsJson, read_settings
from cascade.cli.output import print_json

if TYPE_CHECKING:
    from cascade_client import Ranked
    from cascade_server.settings import Settings
    from rich.console import Console

    from cascade.evaluate.collection import Collection
    from cascade.evaluate.collection_index import Held
    from cascade.evaluate.report import Report
    from cascade.evaluate.serving import Served

TENANT = "default"
SHOWN = 5


def quickstart_command(
    cascade: Annotated[str, typer.Option(help="The cascade that answers.")] = "quality",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the server; 0 takes a free one.")] = 0,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of indexes.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the server running until Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> None:
    """Index Python's documentation, serve it, ask questions, and measure every stage on judged ones."""
    from cascade_server import logs
    from rich.console import Console

    from cascade.evaluate.serving import known_cascade

    logs.configure("console", "warning")
    settings = read_settings(host="127.0.0.1", port=port, metrics_port=0, data_dir=data_dir)
    known_cascade(settings, TENANT, cascade)
    try:
        asyncio.run(_run(settings, cascade, keep=keep, as_json=as_json, console=Console(stderr=as_json)))
    except KeyboardInterrupt:
        if not keep:
            raise


async def _run(settings: Settings, cascade: str, *, keep: bool, as_json: bool, console: Console) -> None:
    from cascade.evaluate.serving import serving

    collection = await _collection(console)
    index = f"python-{platform.python_version().replace('.', '-')}"
    held = await _index(settings, cascade, index, collection)
    console.print("starting the server and loading the models")
    async with serving(settings, TENANT) as served:
        answers = await _ask_showcase(served, cascade, index, console)
        report = await _evaluate(served, cascade, index, collection, console)
        if as_json:
            print_json(_to_json(held, answers, report))
        if keep:
            _say_how_to_call(served, cascade, index, console)
            await asyncio.Event().wait()


async def _collection(console: Console) -> Collection:
    """The documentation of this Python and the judged queries that it answers."""
    from cascade.evaluate import pydocs
    from cascade.evaluate.collection import Collection

    with console.status("reading the documentation of the standard library"):
        documents = tuple(await asyncio.to_thread(lambda: list(pydocs.documents())))
    judged = pydocs.load({document.doc_id for document in documents})
    notes = (f"{judged.dropped} judgments name what this Python does not document and are left out",)
    return Collection(
        name=f"Python {platform.python_version()} documentation",
        split="shipped",
        documents=documents,
        queries=judged.queries,
        qrels=judged.qrels,
        excluded={},
        notes=notes if judged.dropped else (),
    )


async def _index(settings: Settings, cascade: str, index: str, collection: Collection) -> Held:
    from cascade.evaluate.collection_index import index_on_disk
    from cascade.evaluate.progress import bar
    from cascade.evaluate.serving import encoder_of, known_cascade

    with bar(f"indexing {len(collection.documents):,} documents") as progress:
        return await index_on_disk(
            settings.data_dir / "indexes" / TENANT,
            index,
            collection.documents,
            encoder=encoder_of(known_cascade(settings, TENANT, cascade)),
            default=settings.default_encoder,
            threads=settings.threads,
            progress=progress,
        )


async def _ask_showcase(served: Served, cascade: str, index: str, console: Console) -> list[tuple[str, Ranked]]:
    from cascade.evaluate.pydocs import SHOWCASE
    from cascade.evaluate.tables import answer_table

    answers = []
    for query in SHOWCASE:
        ranked = await served.client.rank(
            query, cascade=cascade, index=index, top_k=SHOWN, include_text=True, explain=True, timeout=300.0
        )
        answers.append((query, ranked))
        console.print()
        console.rule(f"[bold]{query}", align="left")
        for result in ranked.results:
            first_line = result.text.strip().split("\n", 1)[0]
            console.print(
                f"{result.rank}. [bold]{result.title}[/bold]  {first_line}", overflow="ellipsis", no_wrap=True
            )
        console.print(answer_table(ranked))
    return answers


async def _evaluate(served: Served, cascade: str, index: str, collection: Collection, console: Console) -> Report:
    from cascade.evaluate.progress import count
    from cascade.evaluate.tables import cost_table, quality_table
    from cascade.evaluate.through_server import Setup, evaluate

    setup = Setup(cascade=cascade, index=index)
    with count(f"asking {len(collection.queries)} judged queries", len(collection.queries)) as answered:
        report, _ = await evaluate(served.client, collection, setup, answered=answered)
    console.print()
    console.print(quality_table(report), cost_table(report))
    for note in report.notes:
        console.print(f"note: {note}")
    return report


def _to_json(held: Held, answers: list[tuple[str, Ranked]], report: Report) -> dict[str, Any]:
    from cascade.evaluate.report import to_json

    return {
        "index": asdict(held),
        "queries": [shapes.answer(query, ranked, text=True, explain=True) for query, ranked in answers],
        "eval": to_json(report),
    }


def _say_how_to_call(served: Served, cascade: str, index: str, console: Console) -> None:
    console.print()
    console.print(f"serving at {served.target} until Ctrl-C; ask it with")
    console.print(
        f'  cascade rank "how do I parse JSON" --index {index} --cascade {cascade} --target {served.target} --explain',
        soft_wrap=True,
    )
    if served.metrics_port is not None:
        console.print(f"its metrics: http://127.0.0.1:{served.metrics_port}/metrics")

"""`cascade quickstart`: the whole of Cascade on text that every machine has, Python's own documentation."""

from __future__ import annotations

import asyncio
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cascade.cli import shapes
from cascade.cli.options import AsJson, read_settings
from cascade.cli.output import print_json

if TYPE_CHECKING:
    from rich.console import Console

    from cascade.config import CascadeConfig
    from cascade.evaluate.collection import Collection
    from cascade.evaluate.collection_index import Held
    from cascade.evaluate.report import Report
    from cascade.evaluate.serving import Served
    from cascade_client import Ranked
    from cascade_server.settings import Settings

TENANT = "default"
SHOWN = 5


def quickstart_command(
    cascade: Annotated[str, typer.Option(help="The cascade that answers.")] = "quality",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the server; 0 takes a free one.")] = 0,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of indexes.", show_default=False)] = None,
    queries: Annotated[int, typer.Option(min=1, help="How many of the judged queries to evaluate on.")] = 64,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the server running until Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> None:
    """Index Python's documentation, serve it, ask questions, and measure every stage on judged ones."""
    from rich.console import Console

    from cascade.evaluate.pydocs import SHOWCASE
    from cascade_server import logs

    logs.configure("console", "warning")
    settings = read_settings(host="127.0.0.1", port=port, metrics_port=0, data_dir=data_dir)
    console = Console(stderr=as_json, highlight=False)

    def read() -> Collection:
        return python_documentation().sample(queries, seed=0)

    try:
        asyncio.run(demonstrate(settings, cascade, read, SHOWCASE, keep, as_json, console))
    except KeyboardInterrupt:
        if not keep:
            raise


async def demonstrate(
    settings: Settings,
    cascade: str,
    read: Callable[[], Collection],
    questions: Sequence[str],
    keep: bool,
    as_json: bool,
    console: Console,
) -> None:
    """Index what `read` gives, serve it, ask the questions, evaluate, and serve on if `keep`."""
    from cascade.evaluate.collection_index import index_name
    from cascade.evaluate.serving import known_cascade, serving

    config = known_cascade(settings, TENANT, cascade)
    collection = await asyncio.to_thread(read)
    index = index_name(collection.name)
    console.print(f"{len(collection.documents):,} documents: {collection.name}")
    started = time.monotonic()
    held = await _index(settings, config, index, collection)
    console.print(f"indexed in {time.monotonic() - started:.1f} s; starting the server and loading its models")
    started = time.monotonic()
    async with serving(settings, TENANT, only=None if keep else {cascade: config}) as served:
        console.print(f"serving at {served.target} after {time.monotonic() - started:.1f} s")
        answers = [(text, await _ask(served, cascade, index, text, console)) for text in questions]
        report = await _evaluate(served, cascade, index, collection, console)
        if as_json:
            print_json(_to_json(held, answers, report))
        if keep:
            _say_how_to_call(served, cascade, index, questions[0], console)
            await asyncio.Event().wait()


def python_documentation() -> Collection:
    """The documentation of this Python, and the judged queries that it answers."""
    from cascade.evaluate import pydocs
    from cascade.evaluate.collection import Collection

    documents = tuple(pydocs.documents())
    judged = pydocs.load({document.doc_id for document in documents})
    note = f"{judged.dropped} judgments name what this Python does not document and are left out"
    return Collection(
        name=f"python-{platform.python_version()}",
        split="own judgments",
        documents=documents,
        queries=judged.queries,
        qrels=judged.qrels,
        excluded={},
        notes=(note,) if judged.dropped else (),
    )


async def _index(settings: Settings, config: CascadeConfig, index: str, collection: Collection) -> Held:
    from cascade.evaluate.collection_index import Wanted, index_on_disk
    from cascade.evaluate.progress import bar
    from cascade.evaluate.serving import encoder_of

    # Another Python, or another version of this project, may document other things under the same index's name.
    wanted = Wanted(index, collection.documents, encoder_of(config), prune=True)
    with bar("indexing") as progress:
        return await index_on_disk(settings, TENANT, wanted, progress)


async def _ask(served: Served, cascade: str, index: str, question: str, console: Console) -> Ranked:
    """Ask one question and print the answer: what was found, then how every stage moved it and what it cost."""
    from rich.text import Text

    from cascade.evaluate.tables import answer_table

    ranked = await served.client.rank(
        question, cascade=cascade, index=index, top_k=SHOWN, include_text=True, explain=True, timeout=300.0
    )
    console.print()
    console.print(Text(question, style="bold"))
    for result in ranked.results:
        first_line = result.text.strip().split("\n", 1)[0]
        line = Text.assemble(f"  {result.rank}. ", (result.title, "cyan"), f"  {first_line}")
        console.print(line, overflow="ellipsis", no_wrap=True)
    console.print(answer_table(ranked))
    return ranked


async def _evaluate(served: Served, cascade: str, index: str, collection: Collection, console: Console) -> Report:
    from cascade.evaluate.progress import count
    from cascade.evaluate.tables import cost_table, quality_table
    from cascade.evaluate.through_server import Setup, evaluate

    # One at a time, so that the times are those of a stage and not of waiting for another query's.
    setup = Setup(cascade=cascade, index=index, concurrency=1)
    with count("asking judged queries", len(collection.queries)) as answered:
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


def _say_how_to_call(served: Served, cascade: str, index: str, question: str, console: Console) -> None:
    console.print(f"\nserving at {served.target} until Ctrl-C; ask it with")
    asking = f'cascade rank "{question}" --index {index} --cascade {cascade} --target {served.target} --text --explain'
    console.print(f"  {asking}", markup=False, soft_wrap=True)
    console.print(f"metrics: http://127.0.0.1:{served.metrics_port}/metrics")

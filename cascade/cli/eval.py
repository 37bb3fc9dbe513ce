"""`cascade eval`: measures every stage of a cascade on a judged collection, through a live server."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cascade.cli.options import AsJson, Tenant, TimeoutMs, read_settings
from cascade.cli.output import print_json

if TYPE_CHECKING:
    from cascade.evaluate.collection import Collection
    from cascade.evaluate.report import Report
    from cascade.evaluate.through_server import Runs, Setup
    from cascade_client import AsyncClient


class Candidates(StrEnum):
    """What a query is asked about."""

    INDEX = "index"
    JUDGED = "judged"


def eval_command(
    collection: Annotated[
        str,
        typer.Option(
            help="BEIR folder (corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv), ir_datasets id, or hub:OWNER/NAME.",
            show_default=False,
        ),
    ],
    cascade: Annotated[
        str, typer.Option(help="A cascade of the server, or the path of a cascade file.", show_default=False)
    ],
    split: Annotated[
        str, typer.Option("--split", "--qrels", help="Which judgments: qrels/SPLIT.tsv, or the path of a file.")
    ] = "test",
    run: Annotated[
        Path | None, typer.Option(help="TREC run: every query is asked about its documents in it, and no others.")
    ] = None,
    run_depth: Annotated[int, typer.Option(min=1, help="How many documents of the run.")] = 100,
    candidates: Annotated[
        Candidates, typer.Option(help="What a query is asked about: an index, or the documents judged for it.")
    ] = Candidates.INDEX,
    tenant: Tenant = "default",
    target: Annotated[
        str | None, typer.Option(help="HOST:PORT of a server; without it, one is started in this process.")
    ] = None,
    index: Annotated[
        str | None, typer.Option(help="The index of the collection; its folder's name if not given.")
    ] = None,
    limit_queries: Annotated[int | None, typer.Option(min=1, help="Ask so many queries, drawn at random.")] = None,
    seed: Annotated[int, typer.Option(help="Decides what is drawn: queries, intervals and tests.")] = 0,
    concurrency: Annotated[int, typer.Option(min=1, help="Queries in progress at a time.")] = 4,
    timeout_ms: TimeoutMs = 300_000.0,
    price_per_hour: Annotated[
        float | None, typer.Option(min=0, help="What the machine costs; shows the money of each stage and query.")
    ] = None,
    runs: Annotated[Path | None, typer.Option(help="Folder for a TREC run file per stage.")] = None,
    cascades: Annotated[
        Path | None, typer.Option(help="Folder with TENANT/NAME.yaml for the server in this process.")
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of indexes for the server in this process.")] = None,
    per_query: Annotated[bool, typer.Option("--per-query", help="In the JSON, also every query's values.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure every stage of a cascade on a judged collection, with intervals and paired tests."""
    from rich.console import Console

    from cascade.evaluate import report as reports
    from cascade.evaluate import runs as run_files
    from cascade.evaluate.collection_index import index_name
    from cascade.evaluate.tables import cost_table, quality_table
    from cascade.evaluate.through_server import Setup
    from cascade_server import logs

    logs.configure("console", "warning")
    is_file = Path(cascade).suffix in (".yaml", ".yml")
    if target is not None and (is_file or cascades is not None or data_dir is not None):
        raise typer.BadParameter(
            "a cascade file, --cascades and --data-dir are for a server in this process; leave out --target"
        )
    if is_file and cascades is not None:
        raise typer.BadParameter("name a cascade of --cascades, or give a cascade file, not both")
    if run is not None and candidates is not Candidates.INDEX:
        raise typer.BadParameter("--run says what a query is asked about; leave out --candidates")
    judged = _read(collection, split, run, run_depth, candidates, limit_queries, seed)
    setup = Setup(
        cascade=Path(cascade).stem if is_file else cascade,
        index="" if judged.candidates is not None else index or index_name(judged.name),
        concurrency=concurrency,
        timeout=timeout_ms / 1e3,
        seed=seed,
        price_per_hour=price_per_hour,
    )
    if target is not None:
        report, found = asyncio.run(_elsewhere(judged, setup, target, tenant))
    else:
        report, found = asyncio.run(
            _in_process(judged, setup, tenant, cascades, Path(cascade) if is_file else None, data_dir)
        )
    if runs is not None:
        run_files.write(found, runs, setup.cascade)
    if as_json:
        print_json(reports.to_json(report, per_query=per_query))
        return
    console = Console()
    console.print(quality_table(report), cost_table(report))
    for note in report.notes:
        console.print(f"note: {note}")
    if report.degraded_queries or report.unanswered_queries:
        console.print(f"{report.degraded_queries} queries degraded, {report.unanswered_queries} without an answer")


def _read(
    reference: str,
    split: str,
    run: Path | None,
    run_depth: int,
    candidates: Candidates,
    limit_queries: int | None,
    seed: int,
) -> Collection:
    """The collection with the queries and candidates that were asked for."""
    from cascade.evaluate import candidates as own
    from cascade.evaluate import collection as collections

    if run is not None:
        given = own.read_run(run, run_depth)
        documents = {doc_id for doc_ids in given.by_query.values() for doc_id in doc_ids}
        judged = own.with_run(collections.read(reference, split, lambda _: documents), given)
    elif candidates is Candidates.JUDGED:
        judged = own.with_judged(collections.read(reference, split, own.judged_documents), seed)
    else:
        judged = collections.read(reference, split)
    return judged if limit_queries is None else judged.sample(limit_queries, seed)


async def _elsewhere(collection: Collection, setup: Setup, target: str, tenant: str) -> tuple[Report, Runs]:
    """Evaluate through the server at `target`."""
    from cascade.errors import NotFoundError
    from cascade.evaluate.collection_index import Wanted, index_through_server
    from cascade.evaluate.progress import bar
    from cascade_client import AsyncClient

    async with AsyncClient(target, tenant=tenant) as client:
        known = {cascade.name: cascade for cascade in (await client.info()).cascades}
        if setup.cascade not in known:
            raise NotFoundError("cascade", setup.cascade, list(known))
        if collection.candidates is None:
            encoder = next((stage.model for stage in known[setup.cascade].stages if stage.kind == "dense"), "")
            wanted = Wanted(setup.index, collection.documents, encoder)
            with bar(f"indexing {collection.name}") as progress:
                await index_through_server(client, wanted, progress)
        return await _ask(client, collection, setup)


async def _in_process(
    collection: Collection, setup: Setup, tenant: str, cascades: Path | None, file: Path | None, data_dir: Path | None
) -> tuple[Report, Runs]:
    """Evaluate through a server that lives as long as the evaluation."""
    from cascade.config import load
    from cascade.evaluate.collection_index import Wanted, index_on_disk
    from cascade.evaluate.progress import bar
    from cascade.evaluate.serving import encoder_of, known_cascade, serving, with_room

    settings = read_settings(host="127.0.0.1", port=0, cascades_dir=cascades, data_dir=data_dir)
    settings = settings.model_copy(update={"metrics_port": None})
    config = known_cascade(settings, tenant, setup.cascade) if file is None else load(file)
    if collection.candidates is None:
        wanted = Wanted(setup.index, collection.documents, encoder_of(config))
        with bar(f"indexing {collection.name}") as progress:
            await index_on_disk(settings, tenant, wanted, progress)
    async with serving(with_room(settings, collection), tenant, only={setup.cascade: config}) as served:
        return await _ask(served.client, collection, setup)


async def _ask(client: AsyncClient, collection: Collection, setup: Setup) -> tuple[Report, Runs]:
    from cascade.evaluate.progress import count
    from cascade.evaluate.through_server import evaluate

    with count(f"asking {setup.cascade}", len(collection.queries)) as answered:
        return await evaluate(client, collection, setup, answered=answered)

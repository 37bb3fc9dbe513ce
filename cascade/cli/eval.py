"""`cascade eval`: measures every stage of a cascade on a judged collection, through a live server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cascade.cli.connecting import Access, connect_async, with_access
from cascade.cli.options import AsJson, Tenant, TimeoutMs, read_settings
from cascade.cli.output import print_json, write_page

if TYPE_CHECKING:
    from cascade.evaluate.collection import Collection
    from cascade.evaluate.compare import SideBySide
    from cascade.evaluate.judge import Verdict
    from cascade.evaluate.report import Report
    from cascade.evaluate.through_server import Setup


class Candidates(StrEnum):
    """What a query is asked about."""

    INDEX = "index"
    JUDGED = "judged"


@with_access
def eval_command(
    collection: Annotated[
        str,
        typer.Option(
            help="BEIR folder (corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv), ir_datasets id, or hub:OWNER/NAME.",
            show_default=False,
        ),
    ],
    cascade: Annotated[
        str | None, typer.Option(help="A cascade of the server, or the path of a cascade file.", show_default=False)
    ] = None,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(help="Two of these, side by side; the second is tested against the first.", show_default=False),
    ] = None,
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
    html: Annotated[
        Path | None,
        typer.Option(
            help="File for a page with chart and every query; it opens anywhere.", dir_okay=False, writable=True
        ),
    ] = None,
    cascades: Annotated[
        Path | None, typer.Option(help="Folder with TENANT/NAME.yaml for the server in this process.")
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of indexes for the server in this process.")] = None,
    per_query: Annotated[bool, typer.Option("--per-query", help="In the JSON, also every query's values.")] = False,
    as_json: AsJson = False,
    *,
    access: Access,
) -> None:
    """Measure every stage of a cascade on a judged collection, with intervals and paired tests."""
    from cascade.evaluate import runs as run_files
    from cascade.evaluate.collection_index import index_name
    from cascade.evaluate.compare import side_by_side
    from cascade.evaluate.html import render
    from cascade.evaluate.through_server import Setup
    from cascade_server import logs

    logs.configure("console", "warning")
    if (cascade is None) == (compare is None):
        raise typer.BadParameter("give one of --cascade and --compare")
    references = compare or (str(cascade),)
    files = [reference for reference in references if _is_file(reference)]
    if target is not None and (files or cascades is not None or data_dir is not None):
        raise typer.BadParameter(
            "a cascade file, --cascades and --data-dir are for a server in this process; leave out --target"
        )
    if len(files) == len(references) and cascades is not None:
        raise typer.BadParameter("name a cascade of --cascades, or give a cascade file, not both")
    if run is not None and candidates is not Candidates.INDEX:
        raise typer.BadParameter("--run says what a query is asked about; leave out --candidates")
    judged = _read(collection, split, run, run_depth, candidates, limit_queries, seed)
    setup = Setup(
        cascade="",
        index="" if judged.candidates is not None else index or index_name(judged.name),
        concurrency=concurrency,
        timeout=timeout_ms / 1e3,
        seed=seed,
        price_per_hour=price_per_hour,
    )
    verdict = asyncio.run(_judge(judged, setup, references, target, tenant, access, cascades, data_dir))
    for report, found in verdict.judged:
        if runs is not None:
            run_files.write(found, runs if compare is None else runs / report.cascade, report.cascade)
    reports = [report for report, _ in verdict.judged]
    side = None if compare is None else side_by_side(judged, *reports, shared=verdict.shared, seed=seed)
    if html is not None:
        write_page(html, render(judged, verdict.judged, side))
    _print(reports, side, per_query=per_query, as_json=as_json)


async def _judge(
    collection: Collection,
    setup: Setup,
    references: Sequence[str],
    target: str | None,
    tenant: str,
    access: Access,
    cascades: Path | None,
    data_dir: Path | None,
) -> Verdict:
    """Evaluate what `references` name: cascades of the server at `target`, or of one in this process, or files."""
    from cascade.config import CascadeConfig, load
    from cascade.evaluate import judge
    from cascade.evaluate.serving import known_cascade

    if target is not None:
        return await judge.elsewhere(collection, setup, references, connect_async(target, tenant, access))
    settings = read_settings(host="127.0.0.1", port=0, cascades_dir=cascades, data_dir=data_dir)
    settings = settings.model_copy(update={"metrics_port": None})
    configs: dict[str, CascadeConfig] = {}
    for reference in references:
        name = Path(reference).stem if _is_file(reference) else reference
        config = load(Path(reference)) if _is_file(reference) else known_cascade(settings, tenant, reference)
        configs[name if name not in configs else f"{name} (second)"] = config
    return await judge.here(collection, setup, configs, settings, tenant)


def _print(reports: Sequence[Report], side: SideBySide | None, *, per_query: bool, as_json: bool) -> None:
    """The report, or both reports and how the second compares with the first."""
    from rich.console import Console

    from cascade.evaluate import compare, tables
    from cascade.evaluate.report import to_json

    console = Console()
    if side is not None:
        if as_json:
            print_json(compare.comparison_json(side, per_query=per_query))
            return
        console.print(tables.comparison_table(side), tables.moved_table(side))
    elif as_json:
        print_json(to_json(reports[0], per_query=per_query))
        return
    for report in reports:
        console.print(tables.quality_table(report), tables.cost_table(report))
        if report.degraded_queries or report.unanswered_queries:
            console.print(f"{report.degraded_queries} queries degraded, {report.unanswered_queries} without an answer")
    for note in dict.fromkeys(note for report in reports for note in report.notes):
        console.print(f"note: {note}")


def _is_file(reference: str) -> bool:
    return Path(reference).suffix in (".yaml", ".yml")


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

"""`cascade bench`: how fast the parts are, as ratios against named peers that take turns with them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from cascade.bench.options import QUICK_ROUNDS, ROUNDS, Options
from cascade.cli.command import with_options
from cascade.cli.options import AsJson
from cascade.cli.output import print_found, write_page

app = typer.Typer(
    no_args_is_help=True,
    help="Measure how fast the parts are, each in turns with its peers: ratios with their intervals.",
)

Rounds = Annotated[int, typer.Option(min=1, help="Rounds in which ours and its peers take turns.")]
Threads = Annotated[
    int | None, typer.Option(min=1, help="Threads that all compute with; as many as processors.", show_default=False)
]
CollectionFolder = Annotated[
    Path | None,
    typer.Option(help="Folder of a collection in BEIR layout, whose texts are used.", exists=True, file_okay=False),
]
Collections = Annotated[
    Path | None,
    typer.Option(help="Folder of judged collections, on which quality is measured.", exists=True, file_okay=False),
]
Peers = Annotated[
    Path | None,
    typer.Option("--peers", help="Python of the environment with the peers; .venv-peers/bin/python.", exists=True),
]
Quick = Annotated[bool, typer.Option("--quick", help="A few seconds, to see it work; the figures mean nothing.")]
Seconds = Annotated[
    float | None, typer.Option(min=1, help="Seconds that the rounds may take in all.", show_default=False)
]
Reranks = Annotated[
    int | None,
    typer.Option(min=1, help="Reranks over which a server's memory is watched; only `server`.", show_default=False),
]
Html = Annotated[
    Path | None, typer.Option(help="File for a page with charts; it opens anywhere.", dir_okay=False, writable=True)
]

_PEERS = Path(".venv-peers/bin/python")


def _options(
    rounds: Rounds = ROUNDS,
    threads: Threads = None,
    collection: CollectionFolder = None,
    collections: Collections = None,
    peers: Peers = None,
    seconds: Seconds = None,
    quick: Quick = False,
) -> Options:
    """With the libraries of this process held to the threads, which they read when they are first imported.

    Raises BadParameter for rounds that are too few for an interval.
    """
    from cascade.bench.threads import limit
    from cascade.evaluate.machine import processors

    if rounds < ROUNDS and not quick:
        raise typer.BadParameter(
            f"found {rounds} rounds, expected {ROUNDS} at least: fewer give no interval; or --quick"
        )
    found = peers or (_PEERS if _PEERS.exists() else None)
    threads = threads or processors()
    limit(os.environ, threads)
    return Options(
        rounds=min(rounds, QUICK_ROUNDS) if quick else rounds,
        threads=threads,
        collection=collection,
        collections=collections,
        peers_python=found and found.absolute(),
        quick=quick,
        seconds=seconds,
    )


def _command(name: str) -> Callable[..., None]:
    @with_options("options", _options)
    def run(options: Options, reranks: Reranks = None, html: Html = None, as_json: AsJson = False) -> None:
        from cascade.bench import catalogue, tables

        found = catalogue.run(name, replace(options, reranks=reranks), _tell)
        if html is not None:
            from cascade.bench.html import render

            write_page(html, render([found]))
        print_found(found, lambda: [tables.render(found)], as_json=as_json)

    return run


@app.command("all")
@with_options("options", _options)
def all_command(
    options: Options,
    out: Annotated[Path, typer.Option(help="Folder for bench.html and bench.json.", file_okay=False)] = Path(
        "build/bench"
    ),
    as_json: AsJson = False,
) -> None:
    """Run every bench within 20 minutes, and write a page and a JSON file.

    One that fails, or is not done in its time, is reported and does not end the rest; the exit status is 1 then.
    """
    from cascade.bench import tables
    from cascade.bench.all import everything
    from cascade.bench.html import render

    found = everything(options, _tell)
    write_page(out / "bench.html", render(found.results, found.failures, found.seconds))
    (out / "bench.json").write_text(json.dumps(found.to_json(), indent=2) + "\n", encoding="utf-8")
    print_found(found, lambda: map(tables.render, found.results), as_json=as_json)
    for name, reason in found.failures.items():
        typer.echo(f"{name} came to no result: {reason}", err=True)
    typer.echo(f"{out / 'bench.html'}, {out / 'bench.json'}", err=True)
    if found.failures:
        raise typer.Exit(1)


def _tell(line: str) -> None:
    typer.echo(line, err=True)


def _register() -> None:
    from cascade.bench.catalogue import BENCHES

    for name, entry in BENCHES.items():
        app.command(name, help=entry.about)(_command(name))


_register()

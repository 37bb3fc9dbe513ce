"""`cascade`: all commands under one name; what is heavy is imported when a command runs."""

from __future__ import annotations

from typing import Annotated

import typer

from cascade.cli import (
    admin,
    bench,
    calibrate,
    check,
    distill,
    eval,
    index,
    info,
    load,
    pool,
    quantize,
    quickstart,
    rank,
    serve,
    standing,
    train,
    tune,
)
from cascade.cli.failure import Reporting

app = typer.Typer(
    name="cascade",
    cls=Reporting,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    help="Rank documents by a cascade: retrieve, fuse, rerank, within a budget.",
    epilog="Exit status: 0 done, 1 failed, 2 bad input, 130 interrupted. Errors go to standard error.",
)

app.command("quickstart")(quickstart.quickstart_command)
app.command("serve")(serve.run)
app.command("rank")(rank.run)
app.add_typer(index.app, name="index")
app.command("check")(check.run)
app.command("info")(info.run)
app.command("eval")(eval.eval_command)
app.command("pool")(pool.pool_command)
app.command("standing")(standing.run)
app.add_typer(load.app, name="load")
app.add_typer(bench.app, name="bench")
app.add_typer(train.app, name="train")
app.command("calibrate")(calibrate.run)
app.command("tune")(tune.run)
app.command("quantize")(quantize.run)
app.add_typer(admin.app, name="admin")
app.command("distill")(distill.distill_command)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("cascade-ranking"))
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Options of the program itself."""
    from cascade_server.logs import configure

    configure("console", "warning")  # on standard error, so that --json is all there is on standard output


def main() -> None:
    """Run the command that the program's arguments name."""
    app()

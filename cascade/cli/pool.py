"""`cascade pool`: tests a cascade's stages over the queries of several collections together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cascade.cli.options import AsJson


def pool_command(
    reports: Annotated[
        list[Path], typer.Argument(help="What `cascade eval --json --per-query` printed, a file for each collection.")
    ],
    seed: Annotated[int, typer.Option(help="Decides what intervals and tests draw.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Test stages over the queries of several evaluations together, each query counting alike."""
    from rich.console import Console

    from cascade.cli.output import print_json
    from cascade.evaluate import pool
    from cascade.evaluate.tables import pooled_table

    pooled = pool.pool([pool.read_report(path) for path in reports], seed=seed)
    if as_json:
        print_json(pool.pooled_json(pooled))
    else:
        Console().print(pooled_table(pooled))

"""`cascade serve`: runs the server."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from cascade.cli.options import read_settings


def run(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on, 127.0.0.1 if not given.", show_default=False)
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="gRPC port, 50051 if not given; 0 takes a free one.", show_default=False),
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="HTTP port of /metrics, 9464 if not given; 0 takes a free one.", show_default=False
        ),
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of indexes.", show_default=False)] = None,
    cascades: Annotated[
        Path | None, typer.Option(help="Folder that holds TENANT/NAME.yaml.", show_default=False)
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes that answer on the port, 1 if not given.", show_default=False),
    ] = None,
    log_format: Annotated[
        Literal["json", "console"] | None, typer.Option(help="Log lines for machines or for people.")
    ] = None,
) -> None:
    """Serve cascades over gRPC until told to stop; SIGHUP reads the cascade files again.

    Every setting can also come from the environment, as CASCADE_PORT for --port; `python -m cascade_server --help`
    lists them all.
    """
    from cascade_server.threads import limit

    settings = read_settings(
        host=host,
        port=port,
        metrics_port=metrics_port,
        data_dir=data_dir,
        cascades_dir=cascades,
        workers=workers,
        log_format=log_format,
    )
    # Before anything is imported that reads it.
    limit(os.environ, settings.threads)

    from cascade_server.lifecycle import serve
    from cascade_server.logs import configure

    configure(settings.log_format, settings.log_level)
    raise typer.Exit(asyncio.run(serve(settings)))

"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cascade_server.settings import Settings

DEFAULT_TARGET = "localhost:50051"
DEFAULT_TENANT = "default"

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Target = Annotated[str, typer.Option(metavar="HOST:PORT", help="The server to ask.", envvar="CASCADE_TARGET")]
Tenant = Annotated[str, typer.Option(help="The tenant to act for.")]
OwnTenant = Annotated[
    str,
    typer.Option(
        "--tenant", help="The tenant to act for; that of the key, or default, if not given.", show_default=False
    ),
]
Local = Annotated[bool, typer.Option("--local", help="Work in this process on the data folder, without a server.")]
DataDir = Annotated[Path | None, typer.Option(help="Folder of indexes, with --local.", show_default=False)]
Cascades = Annotated[
    Path | None, typer.Option(help="Folder that holds TENANT/NAME.yaml, with --local.", show_default=False)
]
TimeoutMs = Annotated[
    float, typer.Option("--timeout-ms", min=1, help="Time for the call with all its retries, in milliseconds.")
]


def settings_for(local: bool, data_dir: Path | None, cascades: Path | None = None) -> Settings | None:
    """The settings of work in this process, or None for work that a server does.

    Raises BadParameter when folders are named for a server that has its own.
    """
    if not local:
        if data_dir is not None or cascades is not None:
            raise typer.BadParameter("--data-dir and --cascades are for --local; a server has folders of its own")
        return None
    return read_settings(data_dir=data_dir, cascades_dir=cascades)


def read_settings(**given: Any) -> Settings:
    """The server's settings from the environment, with those that are given and not None on top.

    Raises ConfigError, which names every setting that is out of bounds.
    """
    from pydantic import ValidationError

    from cascade.errors import ConfigError
    from cascade_server.settings import Settings

    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}, found {e['input']!r}" for e in error.errors()]
        raise ConfigError("settings", problems) from error

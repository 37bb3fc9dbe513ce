"""`cascade admin cascade`: what the versions of cascades say."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from cascade.cli.admin.session import Session, in_session

Cascade = Annotated[str, typer.Argument(metavar="NAME", help="The cascade.", show_default=False)]
For = Annotated[
    str, typer.Option("--tenant", help="The tenant to act on; the key's own if not given.", show_default=False)
]
File = Annotated[Path, typer.Argument(metavar="FILE", help="A cascade as YAML; - is standard input.")]


@in_session
def put(name: Cascade, file: File, tenant: For = "", *, session: Session) -> None:
    """Keep a file as a new version, which serves nobody yet; the same content as the latest is that version."""
    from cascade.cli.admin.shapes import shape

    made = session.admin.put_cascade(name, read_text(file), tenant=tenant)
    what = "is new" if made.created else "says the same already"
    version = made.version
    session.show(
        shape(made),
        lambda: typer.echo(f"{version.cascade} version {version.version} {what}, hash {version.config_hash}"),
    )


@in_session
def validate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Cascades as YAML.", show_default=False)],
    load: Annotated[bool, typer.Option("--load", help="Load their models too.")] = False,
    tenant: For = "",
    *,
    session: Session,
) -> None:
    """Say what is wrong with files, by the rules of the server, and keep nothing."""
    shapes: list[dict[str, Any]] = []
    for file in files:
        found = session.admin.validate_cascade(read_text(file), tenant=tenant, load=load)
        shapes.append({"file": str(file), "valid": not found.problems, **asdict(found)})

    def people() -> None:
        for shape in shapes:
            state = f"valid, hash {shape['config_hash']}" if shape["valid"] else "not valid"
            typer.echo("\n  ".join([f"{shape['file']}: {state}", *shape["problems"]]))

    session.show({"files": shapes}, people)
    if not all(shape["valid"] for shape in shapes):
        raise typer.Exit(2)


@in_session
def list_(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="One cascade; all if not given.")] = "",
    tenant: For = "",
    *,
    session: Session,
) -> None:
    """List versions, newest first, and what each does now."""
    from cascade.cli.admin import tables
    from cascade.cli.admin.shapes import shape

    found = session.admin.list_versions(name, tenant=tenant)
    session.show(shape(found), lambda: tables.print_versions(found))


@in_session
def show(
    name: Cascade,
    version: Annotated[int, typer.Option(min=0, help="The version; the newest if not given.", show_default=False)] = 0,
    tenant: For = "",
    *,
    session: Session,
) -> None:
    """Print a version as it was put."""
    from cascade.cli.admin.shapes import shape

    found = session.admin.get_version(name, version, tenant=tenant)
    session.show(shape(found), lambda: typer.echo(found.text, nl=not found.text.endswith("\n")))


@in_session
def diff(
    name: Cascade,
    from_: Annotated[
        int, typer.Option("--from", min=0, help="The one version; the active one if not given.", show_default=False)
    ] = 0,
    to: Annotated[int, typer.Option(min=0, help="The other; the newest if not given.", show_default=False)] = 0,
    tenant: For = "",
    *,
    session: Session,
) -> None:
    """Compare two versions: their texts, and what means something else."""
    from cascade.cli.admin import tables
    from cascade.cli.admin.shapes import shape

    found = session.admin.diff(name, from_, to, tenant=tenant)
    session.show(shape(found), lambda: tables.print_difference(found.diff, found.changes))


def read_text(file: Path) -> str:
    """A file, or standard input for -. Raises ConfigError for what is not text."""
    from cascade.errors import ConfigError

    try:
        return sys.stdin.buffer.read().decode() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(file), [f"cannot be read: {error}"]) from error

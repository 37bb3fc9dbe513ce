"""`cascade index`: keeps the documents of indexes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cascade.cli.connecting import Access, connect, with_access
from cascade.cli.options import (
    DEFAULT_TARGET,
    DEFAULT_TENANT,
    AsJson,
    DataDir,
    Local,
    OwnTenant,
    Target,
    settings_for,
)

if TYPE_CHECKING:
    from cascade.cli.local import LocalIndexes
    from cascade.types import Document
    from cascade_client import Change, Client

app = typer.Typer(no_args_is_help=True, help="Keep the documents of indexes.")

Name = Annotated[str, typer.Argument(help="The index.", show_default=False)]


@app.command()
@with_access
def create(
    name: Name,
    encoder: Annotated[
        str, typer.Option(help="The bi-encoder of its vectors: an embedded name, a path or a hub id.")
    ] = "",
    token_vectors: Annotated[
        str,
        typer.Option(
            help="Keep every document's token vectors, by this multi-vector model, for late interaction tiers with it: "
            "embedded:late-interaction, a path or a hub id."
        ),
    ] = "",
    tenant: OwnTenant = "",
    target: Target = DEFAULT_TARGET,
    local: Local = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
    *,
    access: Access,
) -> None:
    """Create an empty index."""
    from cascade.cli import output, shapes

    with _indexes(target, tenant, local, data_dir, access) as indexes:
        made = indexes.create_index(name, encoder, token_vectors=token_vectors)
    if as_json:
        output.print_json(shapes.index(made))
    else:
        output.print_index(made)


@app.command()
@with_access
def add(
    name: Name,
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            show_default=False,
            help="JSON lines with _id or doc_id, text, maybe title, and metadata; - is standard input.",
        ),
    ],
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out lines that are no documents, and count them.")
    ] = False,
    create_: Annotated[bool, typer.Option("--create", help="Create the index if it is not there.")] = False,
    tenant: OwnTenant = "",
    target: Target = DEFAULT_TARGET,
    local: Local = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
    *,
    access: Access,
) -> None:
    """Add documents, and replace those whose id is there, as one change: all of them or none."""
    from cascade.cli import documents, output, shapes
    from cascade.errors import InvalidInputError, Violation
    from cascade_client import InvalidArgumentError

    for path in files:
        if path != documents.STDIN and not path.is_file():
            raise typer.BadParameter(f"{path} is not a file", param_hint="FILE")
    lines = documents.read(files)
    problems = lines.problems
    if problems and not skip_bad:
        raise InvalidInputError(problems)
    for problem in problems:
        typer.echo(f"left out {problem.field}: {problem.message}", err=True)
    with _indexes(target, tenant, local, data_dir, access) as indexes:
        if create_:
            _create_unless_there(indexes, name)
        try:
            change = _upsert(indexes, name, lines.documents)
        except (InvalidInputError, InvalidArgumentError) as error:
            raise InvalidInputError([Violation(lines.place(v.field), v.message) for v in error.violations]) from error
    if as_json:
        output.print_json({**shapes.change(change), "skipped": len(problems)})
        return
    left_out = f", {len(problems)} lines left out" if problems else ""
    typer.echo(f"{change.added:,} added, {change.replaced:,} replaced{left_out}; {_now(change)}")


@app.command()
@with_access
def delete(
    name: Name,
    doc_ids: Annotated[list[str], typer.Argument(metavar="DOC_ID...", help="The documents.", show_default=False)],
    tenant: OwnTenant = "",
    target: Target = DEFAULT_TARGET,
    local: Local = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
    *,
    access: Access,
) -> None:
    """Delete documents as one change; ids that are not there are counted out."""
    from cascade.cli import output, shapes

    with _indexes(target, tenant, local, data_dir, access) as indexes:
        change = indexes.delete(name, doc_ids)
    if as_json:
        output.print_json(shapes.change(change))
    else:
        typer.echo(f"{change.deleted:,} of {len(set(doc_ids)):,} deleted; {_now(change)}")


@app.command()
@with_access
def show(
    name: Name,
    tenant: OwnTenant = "",
    target: Target = DEFAULT_TARGET,
    local: Local = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
    *,
    access: Access,
) -> None:
    """Describe one index."""
    from cascade.cli import output, shapes

    with _indexes(target, tenant, local, data_dir, access) as indexes:
        info = indexes.get_index(name)
    if as_json:
        output.print_json(shapes.index(info))
    else:
        output.print_index(info)


@app.command("list")
@with_access
def list_(
    tenant: OwnTenant = "",
    target: Target = DEFAULT_TARGET,
    local: Local = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
    *,
    access: Access,
) -> None:
    """Describe all indexes of a tenant; one that cannot be read is listed with its problem."""
    from cascade.cli import output, shapes

    with _indexes(target, tenant, local, data_dir, access) as indexes:
        found = indexes.list_indexes()
    if as_json:
        output.print_json({"indexes": [shapes.index(info) for info in found]})
    else:
        output.print_indexes(found)


@app.command()
@with_access
def drop(
    name: Name,
    tenant: OwnTenant = "",
    target: Target = DEFAULT_TARGET,
    local: Local = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
    *,
    access: Access,
) -> None:
    """Delete an index and all its documents."""
    from cascade.cli import output

    with _indexes(target, tenant, local, data_dir, access) as indexes:
        indexes.drop_index(name)
    if as_json:
        output.print_json({"dropped": name})
    else:
        typer.echo(f"index {name} is gone")


@contextmanager
def _indexes(
    target: str, tenant: str, local: bool, data_dir: Path | None, access: Access
) -> Iterator[Client | LocalIndexes]:
    """A server's indexes, or those of the data folder."""
    settings = settings_for(local, data_dir)
    found: Client | LocalIndexes
    if settings is None:
        found = connect(target, tenant, access)
    else:
        from cascade.cli.local import LocalIndexes

        found = LocalIndexes(settings, tenant or DEFAULT_TENANT)
    try:
        yield found
    finally:
        found.close()


def _create_unless_there(indexes: Client | LocalIndexes, name: str) -> None:
    from cascade.errors import AlreadyExistsError
    from cascade_client import errors

    try:
        indexes.create_index(name)
    except (errors.AlreadyExistsError, AlreadyExistsError):
        return


def _upsert(indexes: Client | LocalIndexes, name: str, found: list[Document]) -> Change:
    """Upsert with a progress bar on standard error: documents encoded here, or sent to the server."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from cascade_client import Client
    from cascade_client import Document as ClientDocument

    documents = [ClientDocument(d.doc_id, d.text, d.title, d.metadata) for d in found]
    columns: tuple[Any, ...] = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as progress:
        remote = isinstance(indexes, Client)
        task = progress.add_task("sending" if remote else "encoding", total=len(documents))
        if not isinstance(indexes, Client):
            return indexes.upsert(
                name, documents, progress=lambda done, total: progress.update(task, completed=done, total=total)
            )

        def sent(count: int) -> None:
            progress.update(task, completed=count)
            if count == len(documents):
                progress.update(task, description="the server is encoding", total=None)

        return indexes.upsert(name, documents, progress=sent)


def _now(change: Change) -> str:
    info = change.index
    return f"index {info.name} holds {info.documents:,} documents, version {info.version}"

"""What every command of `cascade admin` has in common: where the control plane is, and how it prints."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cascade.cli.command import command_of
from cascade.cli.connecting import Access, access_options, connect
from cascade.cli.options import DEFAULT_TARGET, AsJson, Target, read_settings

if TYPE_CHECKING:
    from cascade_client import Admin

_TIMEOUT = 300.0
"""Seconds: what brings a version into force loads its models first."""


@dataclass(frozen=True, slots=True)
class Session:
    """The control plane of a server, or a store without one, and a way to print."""

    admin: Admin
    as_json: bool

    def show(self, shape: Any, people: Callable[[], None]) -> None:
        """Print `shape` as JSON, or have `people` print it for a person."""
        from cascade.cli import output

        if self.as_json:
            output.print_json(shape)
        else:
            people()


def _where(
    target: Target = DEFAULT_TARGET,
    local: Annotated[
        bool, typer.Option("--local", help="Work on the store itself, without a server or a key, as its owner.")
    ] = False,
    data_dir: Annotated[
        Path | None, typer.Option(help="Data folder whose store it is, with --local.", show_default=False)
    ] = None,
    store_url: Annotated[
        str | None, typer.Option(help="SQLAlchemy URL of the store, with --local.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The options, as a signature to take over."""


def in_session(run: Callable[..., None]) -> Callable[..., None]:
    """`run` as a command whose parameter `session` is made from the options that say where the control plane is."""

    def call(given: dict[str, Any], where: dict[str, Any], access: Access) -> None:
        with _opened(**where, access=access) as session:
            run(session=session, **given)

    return command_of(run, "session", [_where, access_options], call)


@contextmanager
def _opened(
    target: str, local: bool, data_dir: Path | None, store_url: str | None, as_json: bool, access: Access
) -> Iterator[Session]:
    if not local:
        if data_dir is not None or store_url is not None:
            raise typer.BadParameter("--data-dir and --store-url are for --local; a server has a store of its own")
        with connect(target, "", access, timeout=_TIMEOUT) as client:
            yield Session(client.admin, as_json)
        return
    from cascade.cli.admin.local import LocalPlane
    from cascade_client import Admin

    with LocalPlane(read_settings(data_dir=data_dir, store_url=store_url)) as plane:
        yield Session(Admin(plane.send), as_json)

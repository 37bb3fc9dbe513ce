"""How commands reach a server: the options that say who calls and whom to trust, the same for all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cascade.cli.command import command_of

if TYPE_CHECKING:
    from cascade_client import AsyncClient, Client

Access = dict[str, Any]
"""The keywords of `cascade_client.credentials.Access` that were given."""


def access_options(
    api_key: Annotated[
        str, typer.Option(envvar="CASCADE_API_KEY", help="The key to call with.", show_default=False, metavar="KEY")
    ] = "",
    tls: Annotated[bool, typer.Option("--tls", help="Use TLS; implied by the options for its files.")] = False,
    root_certificates: Annotated[
        Path | None, typer.Option(help="PEM file of the roots to trust, instead of the system's.", show_default=False)
    ] = None,
    client_certificate: Annotated[
        Path | None, typer.Option(help="PEM file of the certificate to show.", show_default=False)
    ] = None,
    client_key: Annotated[Path | None, typer.Option(help="PEM file of its private key.", show_default=False)] = None,
    insecure_credentials: Annotated[
        bool, typer.Option("--insecure-credentials", help="Send a key to another machine without TLS.")
    ] = False,
) -> None:
    """The options, as a signature to take over."""


def with_access(run: Callable[..., None]) -> Callable[..., None]:
    """`run` as a command that has the options of `access_options` in place of its parameter `access`."""
    return command_of(run, "access", [access_options], lambda given, access: run(access=access, **given))


def connect(target: str, tenant: str, access: Access, **options: Any) -> Client:
    """A client for the server at `target`. Raises BadParameter for credentials that contradict themselves."""
    from cascade_client import Client

    with _bad_parameter():
        return Client(target, tenant=tenant, **access, **options)


def connect_async(target: str, tenant: str, access: Access) -> AsyncClient:
    """As `connect`, for asyncio."""
    from cascade_client import AsyncClient

    with _bad_parameter():
        return AsyncClient(target, tenant=tenant, **access)


@contextmanager
def _bad_parameter() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error

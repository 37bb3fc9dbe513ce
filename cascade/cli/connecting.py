"""How commands reach a server: the options that say who calls and whom to trust, the same for all."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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


def command_of(
    run: Callable[..., None], name: str, sources: Sequence[Callable[..., None]], call: Callable[..., None]
) -> Callable[..., None]:
    """`run` as a command that has the options of `sources` in place of its parameter `name`.

    `call` is given what was typed for the other parameters, and for each of `sources`, a dictionary each.
    """
    own = [p for p in _parameters(run) if p.name != name]
    shared = [_parameters(source) for source in sources]

    def command(**given: Any) -> None:
        call({p.name: given[p.name] for p in own}, *({p.name: given[p.name] for p in part} for part in shared))

    every = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (*own, *chain.from_iterable(shared))]
    command.__name__, command.__doc__ = run.__name__, run.__doc__
    command.__annotations__ = {p.name: p.annotation for p in every}
    command.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]  # where inspect and typer look
    return command


def _parameters(function: Callable[..., None]) -> list[inspect.Parameter]:
    return list(inspect.signature(function, eval_str=True).parameters.values())


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

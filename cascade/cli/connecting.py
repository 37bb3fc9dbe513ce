"""How commands reach a server: the options that say who calls and whom to trust, the same for all."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cascade_client import Client

Access = dict[str, Any]
"""The keywords of `cascade_client.credentials.Access` that were given."""


def _access(
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
    """`run` as a command that has the options of `_access` in place of its parameter `access`."""
    return replaced(run, "access", [_access], lambda given: given)


def replaced(
    run: Callable[..., None], name: str, sources: list[Callable[..., None]], made: Callable[[Access], Any]
) -> Callable[..., None]:
    """`run` with the parameters of `sources` in place of `name`, whose argument is what `made` makes of theirs."""
    own = inspect.signature(run, eval_str=True).parameters
    options = [p for source in sources for p in inspect.signature(source, eval_str=True).parameters.values()]

    def command(**given: Any) -> None:
        taken = {option.name: given.pop(option.name) for option in options}
        run(**given, **{name: made(taken)})

    parameters = [p for p in own.values() if p.name != name] + options
    command.__name__, command.__doc__ = run.__name__, run.__doc__
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    keyword = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
    command.__signature__ = inspect.Signature(keyword)  # type: ignore[attr-defined]  # where inspect and typer look
    return command


def connect(target: str, tenant: str, access: Access, **options: Any) -> Client:
    """A client for the server at `target`. Raises BadParameter for credentials that contradict themselves."""
    from cascade_client import Client

    try:
        return Client(target, tenant=tenant, **access, **options)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error

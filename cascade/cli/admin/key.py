"""`cascade admin key`: what callers prove themselves with."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

import typer

from cascade.cli.admin.session import Session, in_session
from cascade.cli.admin.versions import For

app = typer.Typer(no_args_is_help=True, help="What callers prove themselves with.")


@app.command("create")
@in_session
def create(
    role: Annotated[
        str, typer.Option(metavar="reader|writer|admin", help="What its bearer may do.", show_default=False)
    ],
    tenant: Annotated[
        str,
        typer.Option(
            help="Whom it acts for. Without it, it is of the same tenant as the caller's: an operator makes an "
            "operator's key, which acts for all.",
            show_default=False,
        ),
    ] = "",
    label: Annotated[str, typer.Option(help="What it is for.", show_default=False)] = "",
    days: Annotated[
        float | None, typer.Option(min=0.0001, max=36500, help="When it ends; never if not given.", show_default=False)
    ] = None,
    certificate_name: Annotated[
        str,
        typer.Option(
            help="Make no secret: a client certificate with this name stands for the key.", show_default=False
        ),
    ] = "",
    *,
    session: Session,
) -> None:
    """Make a key, and print its secret, which is shown this once."""
    from cascade.cli.admin.shapes import shape

    expires_at = None if days is None else datetime.now().astimezone() + timedelta(days=days)
    made = session.admin.create_key(
        role, tenant=tenant, label=label, expires_at=expires_at, certificate_name=certificate_name
    )

    def people() -> None:
        whose = f"{made.key.role.value} of {made.key.tenant or 'all tenants'}"
        typer.echo(f"key {made.key.key_id}, {whose}", err=True)
        if made.secret:
            typer.echo(made.secret)

    session.show(shape(made), people)


@app.command("list")
@in_session
def list_(tenant: For = "", *, session: Session) -> None:
    """List keys without their secrets, those that no longer work among them."""
    from cascade.cli.admin import tables
    from cascade.cli.admin.shapes import shape

    found = session.admin.list_keys(tenant=tenant)
    session.show({"keys": shape(found)}, lambda: tables.print_keys(found))


@app.command("revoke")
@in_session
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="KEY", help="What the list calls it.", show_default=False)],
    *,
    session: Session,
) -> None:
    """End a key at once."""
    from cascade.cli.admin.shapes import shape

    ended = session.admin.revoke_key(key_id)
    session.show(shape(ended), lambda: typer.echo(f"key {ended.key_id} is revoked"))

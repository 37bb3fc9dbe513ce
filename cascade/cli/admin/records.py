"""`cascade admin audit` and `cascade admin usage`: what was done, and what was used."""

from __future__ import annotations

from typing import Annotated

import typer

from cascade.cli.admin.session import Session, in_session

Whose = Annotated[
    str,
    typer.Option("--tenant", help="Whose; if not given, the key's own, or all for an operator.", show_default=False),
]


@in_session
def audit(
    tenant: Whose = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 100,
    before: Annotated[
        int, typer.Option(min=0, help="Only those before the one of this number.", show_default=False)
    ] = 0,
    *,
    session: Session,
) -> None:
    """List changes, newest first: who did what, when, and what it changed."""
    from cascade.cli.admin import tables
    from cascade.cli.admin.shapes import shape

    found = session.admin.list_audit_entries(tenant=tenant, limit=limit, before=before)
    session.show({"entries": shape(found)}, lambda: tables.print_audit(found))


@in_session
def usage(
    tenant: Whose = "",
    since: Annotated[str, typer.Option(metavar="DAY", help="First day, as 2026-01-31.", show_default=False)] = "",
    until: Annotated[str, typer.Option(metavar="DAY", help="Last day.", show_default=False)] = "",
    *,
    session: Session,
) -> None:
    """Sum up requests, tokens and money by tenant, cascade and day (UTC)."""
    from cascade.cli.admin import tables
    from cascade.cli.admin.shapes import shape

    found = session.admin.get_usage(tenant=tenant, since=since, until=until)
    session.show({"usage": shape(found)}, lambda: tables.print_usage(found))

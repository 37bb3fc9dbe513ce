"""`cascade admin cascade`: which versions answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cascade.cli.admin.session import Session, in_session
from cascade.cli.admin.versions import Cascade, For

if TYPE_CHECKING:
    from cascade_client import Rollout

Version = Annotated[int, typer.Argument(min=1, metavar="VERSION", help="Its version.", show_default=False)]
OrNoVersion = Annotated[
    int, typer.Argument(min=0, metavar="[VERSION]", help="Its version; left out with --off.", show_default=False)
]
Percent = Annotated[float, typer.Option(min=0, max=100, help="The share of the requests.", show_default=False)]


@in_session
def activate(name: Cascade, version: Version, tenant: For = "", *, session: Session) -> None:
    """Have a version answer, once its models are loaded; ends a canary or shadow of that version."""
    _show(session, session.admin.activate(name, version, tenant=tenant))


@in_session
def roll_back(name: Cascade, tenant: For = "", *, session: Session) -> None:
    """Have the version that was active before answer again; ends any canary."""
    _show(session, session.admin.roll_back(name, tenant=tenant))


@in_session
def canary(
    name: Cascade,
    version: OrNoVersion = 0,
    percent: Percent = 0,
    off: Annotated[bool, typer.Option("--off", help="End the canary.")] = False,
    tenant: For = "",
    *,
    session: Session,
) -> None:
    """Have a version answer a share of the requests; who sends a sticky key always meets the same version."""
    _check_share(version, percent, off)
    _show(session, session.admin.set_canary(name, version, percent, tenant=tenant))


@in_session
def shadow(
    name: Cascade,
    version: OrNoVersion = 0,
    percent: Percent = 0,
    off: Annotated[bool, typer.Option("--off", help="End the shadow.")] = False,
    tenant: For = "",
    *,
    session: Session,
) -> None:
    """Have a version rank copies of a share of the requests, whose answers nobody sees but in metrics."""
    _check_share(version, percent, off)
    _show(session, session.admin.set_shadow(name, version, percent, tenant=tenant))


@in_session
def promote(name: Cascade, tenant: For = "", *, session: Session) -> None:
    """Have the canary answer all requests."""
    from cascade_server.errors import ConflictError

    rollout = session.admin.list_versions(name, tenant=tenant).rollouts.get(name)
    if rollout is None or rollout.canary is None:
        raise ConflictError(f"cascade {name!r} has no canary; set one, or activate a version by its number")
    _show(session, session.admin.activate(name, rollout.canary, tenant=tenant))


@in_session
def deactivate(name: Cascade, tenant: For = "", *, session: Session) -> None:
    """Stop serving a cascade from the store; its versions stay."""
    session.admin.deactivate(name, tenant=tenant)
    session.show({"deactivated": name}, lambda: typer.echo(f"{name} is served no longer"))


def _check_share(version: int, percent: float, off: bool) -> None:
    if off == bool(version) or off == bool(percent):
        raise typer.BadParameter("give a version and --percent, or --off")


def _show(session: Session, rollout: Rollout) -> None:
    from cascade.cli.admin import tables
    from cascade.cli.admin.shapes import shape

    session.show(shape(rollout), lambda: typer.echo(tables.describe(rollout)))

"""`cascade admin tenant`: who uses a server, and how much each may use."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cascade.cli.admin.session import Session, in_session
from cascade.cli.command import with_options

if TYPE_CHECKING:
    from cascade_client import Quota, Tenant

app = typer.Typer(no_args_is_help=True, help="Who uses the server, and how much each may use.")

Name = Annotated[str, typer.Argument(metavar="TENANT", help="The tenant.", show_default=False)]


def _number(what: str) -> Any:
    return typer.Option(min=0, help=f"{what}; 0 for no limit.", show_default=False)


TokensPerSecond = Annotated[float | None, _number("Tokens of model work a second, in the long run")]
BurstTokens = Annotated[int | None, _number("Tokens at once, above that rate")]
MaxConcurrent = Annotated[int | None, _number("Rank requests in progress at a time")]
MaxDepth = Annotated[int | None, _number("Candidates that any stage may see")]
MaxDocuments = Annotated[int | None, _number("Inline documents of one request")]
MaxTokens = Annotated[int | None, _number("Tokens of work that one request may ask for")]
Urgency = Annotated[str | None, typer.Option(metavar="high|normal|low", help="Whose work goes first.")]
Weight = Annotated[float | None, typer.Option(min=0.001, help="Share of a busy model, relative to the others'.")]


@dataclass(frozen=True, slots=True)
class _Given:
    """What was typed of a quota."""

    tokens_per_second: TokensPerSecond = None
    burst_tokens: BurstTokens = None
    max_concurrent_requests: MaxConcurrent = None
    max_depth: MaxDepth = None
    max_documents: MaxDocuments = None
    max_request_tokens: MaxTokens = None
    priority: Urgency = None
    weight: Weight = None

    def upon(self, before: Quota) -> Quota:
        """`before` with what is given; 0 becomes no limit."""
        from cascade_client import Priority

        changed: dict[str, Any] = {name: value or None for name, value in asdict(self).items() if value is not None}
        if self.priority is not None:
            if self.priority not in list(Priority):
                found = f"found {self.priority!r}, expected high, normal or low"
                raise typer.BadParameter(found, param_hint="--priority")
            changed["priority"] = Priority(self.priority)
        return replace(before, **changed)


@app.command("create")
@in_session
@with_options("given", _Given)
def create(name: Name, given: _Given, *, session: Session) -> None:
    """Add a tenant, with no limits but those that are given."""
    from cascade_client import Quota

    made = session.admin.create_tenant(name, given.upon(Quota()))
    _show(session, made, f"tenant {made.name} is made")


@app.command("quota")
@in_session
@with_options("given", _Given)
def quota(name: Name, given: _Given, *, session: Session) -> None:
    """Change what a tenant may use, or show it; what is not given stays as it is."""
    from cascade.errors import NotFoundError

    tenants = {tenant.name: tenant for tenant in session.admin.list_tenants()}
    if name not in tenants:
        raise NotFoundError("tenant", name, sorted(tenants))
    before = tenants[name]
    wanted = given.upon(before.quota)
    now = before if wanted == before.quota else session.admin.set_quota(name, wanted)
    _show(session, now, f"tenant {name}")


@app.command("list")
@in_session
def list_(*, session: Session) -> None:
    """List the tenants, with their quotas and what is served for them from the store."""
    from cascade.cli.admin import tables
    from cascade.cli.admin.shapes import shape

    found = session.admin.list_tenants()
    session.show({"tenants": shape(found)}, lambda: tables.print_tenants(found))


@app.command("delete")
@in_session
def delete(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    *,
    session: Session,
) -> None:
    """Remove a tenant's access, keys and cascades; its indexes, audit entries and usage stay."""
    if not yes:
        typer.confirm(f"remove tenant {name}, its keys and all versions of its cascades?", abort=True, err=True)
    session.admin.delete_tenant(name)
    session.show({"deleted": name}, lambda: typer.echo(f"tenant {name} is gone"))


def _show(session: Session, tenant: Tenant, what: str) -> None:
    from cascade.cli.admin import tables
    from cascade.cli.admin.shapes import shape

    session.show(shape(tenant), lambda: typer.echo(f"{what}: {tables.limits(tenant.quota)}"))

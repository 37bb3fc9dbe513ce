"""`cascade admin tenant`: who uses a server, and how much each may use."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cascade.cli.admin.session import Session, in_session

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


@app.command("create")
@in_session
def create(
    name: Name,
    tokens_per_second: TokensPerSecond = None,
    burst_tokens: BurstTokens = None,
    max_concurrent_requests: MaxConcurrent = None,
    max_depth: MaxDepth = None,
    max_documents: MaxDocuments = None,
    max_request_tokens: MaxTokens = None,
    priority: Urgency = None,
    weight: Weight = None,
    *,
    session: Session,
) -> None:
    """Add a tenant, with no limits but those that are given."""
    from cascade_client import Quota

    given = (tokens_per_second, burst_tokens, max_concurrent_requests, max_depth, max_documents, max_request_tokens)
    made = session.admin.create_tenant(name, _quota(Quota(), given, priority, weight))
    _show(session, made, f"tenant {made.name} is made")


@app.command("quota")
@in_session
def quota(
    name: Name,
    tokens_per_second: TokensPerSecond = None,
    burst_tokens: BurstTokens = None,
    max_concurrent_requests: MaxConcurrent = None,
    max_depth: MaxDepth = None,
    max_documents: MaxDocuments = None,
    max_request_tokens: MaxTokens = None,
    priority: Urgency = None,
    weight: Weight = None,
    *,
    session: Session,
) -> None:
    """Change what a tenant may use, or show it; what is not given stays as it is."""
    from cascade.errors import NotFoundError

    tenants = {tenant.name: tenant for tenant in session.admin.list_tenants()}
    if name not in tenants:
        raise NotFoundError("tenant", name, sorted(tenants))
    before = tenants[name]
    given = (tokens_per_second, burst_tokens, max_concurrent_requests, max_depth, max_documents, max_request_tokens)
    wanted = _quota(before.quota, given, priority, weight)
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


def _quota(before: Quota, given: tuple[float | None, ...], priority: str | None, weight: float | None) -> Quota:
    """`before` with what is given; 0 becomes no limit."""
    from cascade_client import Priority

    names = (
        "tokens_per_second",
        "burst_tokens",
        "max_concurrent_requests",
        "max_depth",
        "max_documents",
        "max_request_tokens",
    )
    changed: dict[str, Any] = {n: value or None for n, value in zip(names, given, strict=True) if value is not None}
    if priority is not None:
        if priority not in list(Priority):
            raise typer.BadParameter(f"found {priority!r}, expected high, normal or low", param_hint="--priority")
        changed["priority"] = Priority(priority)
    if weight is not None:
        changed["weight"] = weight
    return replace(before, **changed)


def _show(session: Session, tenant: Tenant, what: str) -> None:
    from cascade.cli.admin import tables
    from cascade.cli.admin.shapes import shape

    session.show(shape(tenant), lambda: typer.echo(f"{what}: {tables.limits(tenant.quota)}"))

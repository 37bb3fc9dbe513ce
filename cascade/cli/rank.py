"""`cascade rank`: asks one query and prints the answer with its trace."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from cascade.cli.connecting import Access, connect, with_access
from cascade.cli.options import (
    DEFAULT_TARGET,
    DEFAULT_TENANT,
    AsJson,
    Cascades,
    DataDir,
    Local,
    OwnTenant,
    Target,
    TimeoutMs,
    settings_for,
)

if TYPE_CHECKING:
    from cascade_client import Update
    from cascade_client.options import RankOptions


@with_access
def run(
    query: Annotated[str, typer.Argument(help="What to ask.", show_default=False)],
    index: Annotated[str, typer.Option(help="The index to search.", show_default=False)] = "",
    document: Annotated[
        list[str] | None, typer.Option(help="A text to rank instead of an index; may be repeated.", show_default=False)
    ] = None,
    cascade: Annotated[str, typer.Option(help="The cascade that answers.")] = "fast",
    tenant: OwnTenant = "",
    top_k: Annotated[int, typer.Option(help="How many results to print.")] = 10,
    budget_ms: Annotated[
        float | None, typer.Option(min=0, help="Time for reranking; a tier that does not fit is left out.")
    ] = None,
    min_probability: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Leave out what is less likely relevant."),
    ] = None,
    sticky_key: Annotated[
        str, typer.Option(help="Equal keys meet the same version while a canary runs; by default the query is the key.")
    ] = "",
    timeout_ms: TimeoutMs = 30_000.0,
    filter_: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            metavar="FIELD=VALUE",
            help="A condition on metadata, with = != < <= > >= or FIELD=A,B; repeated ones must all hold.",
            show_default=False,
        ),
    ] = None,
    text: Annotated[bool, typer.Option("--text", help="Print title and text of each result.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Print each result's place at every stage.")] = False,
    stream: Annotated[bool, typer.Option("--stream", help="Print the answer after every stage.")] = False,
    target: Target = DEFAULT_TARGET,
    local: Local = False,
    data_dir: DataDir = None,
    cascades: Cascades = None,
    as_json: AsJson = False,
    *,
    access: Access,
) -> None:
    """Rank documents for a query, and say what every stage did and cost."""
    from cascade.cli import conditions, output, shapes

    def show(update: Update) -> None:
        if not stream and not update.final:
            return
        ranked = update.ranked
        if as_json:
            answer = shapes.answer(query, ranked, text=text, explain=explain)
            head = {"stage": update.stage, "final": update.final} if stream else {}
            output.print_json({**head, **answer}, line=stream)
            return
        if stream:
            typer.echo(f"after {update.stage}{', the answer' if update.final else ''}:")
        output.print_answer(ranked, text=text, explain=explain)

    options: RankOptions = {
        "cascade": cascade,
        "index": index,
        "documents": document or [],
        "where": conditions.parse(filter_ or []),
        "top_k": top_k,
        "include_text": text,
        "explain": explain,
        "budget": None if budget_ms is None else budget_ms / 1e3,
        "min_probability": min_probability,
        "sticky_key": sticky_key,
        "timeout": timeout_ms / 1e3,
    }
    settings = settings_for(local, data_dir, cascades)
    if settings is not None:
        from cascade.cli.local import rank
        from cascade_client.calls import rank_request

        asyncio.run(rank(settings, tenant or DEFAULT_TENANT, rank_request(query, options), timeout_ms / 1e3, show))
        return
    from cascade_client import Update

    with connect(target, tenant, access) as client:
        if stream:
            for update in client.rank_stream(query, **options):
                show(update)
        else:
            show(Update("", True, client.rank(query, **options)))

"""Prints values: JSON for programs, tables for people."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import typer

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from cascade_client import IndexInfo, Ranked, ServerInfo

_TEXT_CHARS = 240


def print_json(value: Any, *, line: bool = False) -> None:
    """One JSON value on standard output, on a single line if it is one of several."""
    typer.echo(json.dumps(value, ensure_ascii=False, allow_nan=False, indent=None if line else 2))


class Found(Protocol):
    """What a command came to: a bench, a load test."""

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        ...


def print_found(found: Found, tables: Callable[[], Iterable[RenderableType]], *, as_json: bool) -> None:
    """As JSON for programs, or in its `tables` for people."""
    from rich.console import Console

    if as_json:
        print_json(found.to_json())
        return
    console = Console()
    for one in tables():
        console.print(one)


def write_page(path: Path, page: str) -> None:
    """An HTML page, in a folder that is made where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")


def print_answer(ranked: Ranked, *, text: bool, explain: bool) -> None:
    """The results, the trace, and why the answer is degraded if it is."""
    console = _console()
    stages = [stage.stage for stage in ranked.trace] if explain else []
    results = table("rank", "doc_id", "score", "scored by", *stages, *(["text"] if text else []), numbers=(0, 2))
    for r in ranked.results:
        places = {place.stage: str(place.rank) for place in r.stages}
        cells = [str(r.rank), r.doc_id, f"{r.score:.4g}", r.scored_by, *(places.get(stage, "-") for stage in stages)]
        results.add_row(*cells, *([_excerpt(r.title, r.text)] if text else []))
    console.print(results)
    costs = any(t.cost is not None for t in ranked.trace)
    columns = ["tokens", *(["cost"] if costs else []), "reason"]
    trace = table("stage", "status", "in→out", "queue", "run", *columns, numbers=(3, 4, 5, 6) if costs else (3, 4, 5))
    for t in ranked.trace:
        trace.add_row(
            t.stage,
            t.status.value,
            f"{t.candidates_in}→{t.candidates_out}",
            milliseconds(t.queue_time),
            milliseconds(t.run_time),
            str(t.tokens or ""),
            *([_money(t.cost)] if costs else []),
            t.reason,
        )
    console.print(trace)
    for t in ranked.trace:
        if t.reason:
            why = f"degraded: {t.stage} {t.status.value.replace('_', ' ')} ({t.reason}): {t.detail}"
            console.print(why, style="yellow", soft_wrap=True)
    cut = {truncation.doc_id for truncation in ranked.truncations}
    if cut:
        console.print(f"{len(cut)} documents were read only in part; --json lists them")
    made = ranked.provenance
    number = f" version {made.cascade_version}{', the canary' if made.canary else ''}" if made.cascade_version else ""
    version = f", index version {made.index_version}" if made.index_version else ""
    console.print(f"cascade {made.cascade}{number} ({made.config_hash}){version}", style="dim")


def print_index(info: IndexInfo) -> None:
    """All about one index."""
    found = table("index", info.name)
    found.add_row("documents", f"{info.documents:,}")
    found.add_row("version", str(info.version))
    found.add_row("encoder", info.encoder)
    found.add_row("vectors", _vectors(info))
    if info.token_vectors:
        found.add_row("token vectors", f"{info.token_vectors}, {_token_vectors(info)}")
    if info.token_id_bytes_per_document:
        found.add_row("token ids", f"{info.token_id_bytes_per_document:,.0f} bytes a document")
    found.add_row("updated", f"{info.updated_at:%Y-%m-%d %H:%M:%S} UTC")
    print_table(found)


def print_indexes(indexes: Iterable[IndexInfo]) -> None:
    """One line for each index, and the problems of those that cannot be read."""
    indexes = tuple(indexes)
    with_tokens = any(info.token_vectors for info in indexes)
    columns = ["index", "documents", "version", "vectors", *(["token vectors"] if with_tokens else []), "updated (UTC)"]
    found = table(*columns, numbers=(1, 2))
    for info in indexes:
        if info.problem:
            found.add_row(info.name, "cannot be read")
        else:
            updated = f"{info.updated_at:%Y-%m-%d %H:%M}"
            tokens = [_token_vectors(info)] if with_tokens else []
            found.add_row(info.name, f"{info.documents:,}", str(info.version), _vectors(info), *tokens, updated)
    print_table(found)
    for info in indexes:
        if info.problem:
            typer.echo(info.problem, err=True)


def print_info(info: ServerInfo) -> None:
    """A server's cascades, models and limits, and the tenant's quota where it has one."""
    console = _console()
    console.print(f"Cascade {info.version}, tenant {info.tenant}")
    cascades = table("cascade", "version", "stages", "description", numbers=(1,))
    for cascade in info.cascades:
        stages = " → ".join(f"{stage.name} {stage.depth}" for stage in cascade.stages)
        cascades.add_row(cascade.name, str(cascade.version or ""), stages, plain(cascade.description))
    console.print(cascades)
    models = table("model", "kind", "ready", "problem")
    for model in info.models:
        models.add_row(model.model, model.kind, "yes" if model.ready else "no", model.problem)
    console.print(models)
    limits = table("limit", "value", numbers=(1,))
    for name in info.limits.__dataclass_fields__:
        limits.add_row(name, f"{getattr(info.limits, name):,}")
    for name in info.quota.__dataclass_fields__:
        value = getattr(info.quota, name)
        if value is not None:
            limits.add_row(f"quota: {name}", value if isinstance(value, str) else f"{value:,}")
    console.print(limits)


def table(*columns: str, numbers: tuple[int, ...] = ()) -> Table:
    """An empty table; the columns at `numbers` are set flush right."""
    from rich import box
    from rich.table import Table

    found = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, column in enumerate(columns):
        found.add_column(column, justify="right" if place in numbers else "left", overflow="fold")
    return found


def print_table(found: Table) -> None:
    """One table."""
    _console().print(found)


def plain(text: str) -> str:
    """`text` on one line, without what would speak to the terminal or pass for a line of ours."""
    line = " ".join(text.split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def milliseconds(seconds: float) -> str:
    """A duration for people."""
    return f"{seconds * 1e3:.1f} ms"


def _console() -> Console:
    """Standard output, on which text is shown as it is: square brackets in a document are no markup."""
    from rich.console import Console

    return Console(markup=False, highlight=False)


def _money(cost: float | None) -> str:
    return "" if cost is None else f"{cost:.3g}"


def _token_vectors(info: IndexInfo) -> str:
    return f"{info.token_vector_bytes_per_document:,.0f} bytes a document" if info.token_vectors else "none"


def _vectors(info: IndexInfo) -> str:
    recall = "" if info.vector_search == "flat" else f", recall {info.vector_recall:.3f}"
    return f"{info.vector_search}, {info.dimensions} dimensions{recall}"


def _excerpt(title: str, text: str) -> str:
    joined = " ".join(f"{title}. {text}".split() if title else text.split())
    return joined if len(joined) <= _TEXT_CHARS else joined[: _TEXT_CHARS - 1] + "…"

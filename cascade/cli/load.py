"""`cascade load`: what a server does under load, measured against servers that it starts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cascade.cli.command import with_options
from cascade.cli.options import AsJson
from cascade.cli.output import print_found, write_page

if TYPE_CHECKING:
    from cascade.load.narrator import Narrator
    from cascade.load.options import Options
    from cascade.load.report import Report

app = typer.Typer(
    no_args_is_help=True,
    help="Load servers that are started for it: a tenant beside a greedy one, too much for all, changes under load.",
)

Duration = Annotated[
    float | None, typer.Option(min=0.5, help="Seconds of the load that it is about, in all.", show_default=False)
]
Rounds = Annotated[int | None, typer.Option(min=1, help="Rounds to alternate in.", show_default=False)]
Seed = Annotated[int, typer.Option(min=0, help="Decides arrivals and requests.")]
Deadline = Annotated[
    float, typer.Option("--deadline-ms", min=1, help="Time of a request, from when it should be sent.")
]
Threads = Annotated[int, typer.Option(min=1, help="Threads that a server's models compute with.")]
OwnCascade = Annotated[
    Path | None,
    typer.Option("--cascade", help="A cascade file to load instead; its requests bring ten documents.", exists=True),
]
Quick = Annotated[bool, typer.Option("--quick", help="A few seconds, to see it work; not enough for valid figures.")]
Html = Annotated[
    Path | None, typer.Option(help="File for a page with charts; it opens anywhere.", dir_okay=False, writable=True)
]

_QUICK_SECONDS = 1.0
_QUICK_CHANGES = 6
_QUICK_PATIENCE = 20.0


@dataclass(frozen=True, slots=True)
class _Usual:
    """What every load test is told."""

    seed: Seed = 0
    deadline_ms: Deadline = 5000.0
    threads: Threads = 1
    cascade: OwnCascade = None
    quick: Quick = False
    html: Html = None
    as_json: AsJson = False

    def options(self, duration: float, rounds: int) -> Options:
        """For a test of so many seconds. Raises ConfigError for a cascade that cannot be read."""
        from cascade.config import load
        from cascade.load.options import Options

        text = ""
        if self.cascade is not None:
            load(self.cascade)
            text = self.cascade.read_text(encoding="utf-8")
        deadline = self.deadline_ms / 1e3
        return Options(duration, rounds, seed=self.seed, deadline=deadline, threads=self.threads, cascade=text)

    def run(self, scenario: Callable[[Options, Narrator], Awaitable[Report]], options: Options) -> None:
        """Exit status 0 also for figures that are not valid: they say so themselves."""
        from cascade.load import tables
        from cascade.load.narrator import Narrator

        async def measured() -> Report:
            return await scenario(options, Narrator())

        found = asyncio.run(measured())
        if self.html is not None:
            from cascade.load.html import render

            write_page(self.html, render(found))
        print_found(found, lambda: [tables.render(found)], as_json=self.as_json)


_with_usual = with_options("usual", _Usual)


@app.command("isolation")
@_with_usual
def isolation_command(
    duration: Duration = None,
    rounds: Rounds = None,
    victim_share: Annotated[float, typer.Option(min=0.01, max=1, help="Of capacity, what the victim asks for.")] = 0.2,
    quota_share: Annotated[float, typer.Option(min=0.01, max=1, help="Of capacity, the other's quota.")] = 0.1,
    *,
    usual: _Usual,
) -> None:
    """A tenant's latency while another asks for ten times its quota, over its latency alone."""
    from cascade.load.isolation import isolation

    if usual.quick:
        duration, rounds = _QUICK_SECONDS, 1
    options = usual.options(duration or 88.0, rounds or 4)
    usual.run(isolation, replace(options, victim_share=victim_share, quota_share=quota_share))


@app.command("overload")
@_with_usual
def overload_command(duration: Duration = None, rounds: Rounds = None, *, usual: _Usual) -> None:
    """Goodput, latency, refusals and recovery at twice and three times the capacity, beside a plain queue."""
    from cascade.load.overload import overload

    if usual.quick:
        duration, rounds = _QUICK_SECONDS, 1
    usual.run(overload, usual.options(duration or 120.0, rounds or 2))


@app.command("reload")
@_with_usual
def reload_command(
    changes: Annotated[int, typer.Option(min=1, help="How many changes to make.")] = 1000,
    processes: Annotated[int, typer.Option(min=1, help="Servers that share the store.")] = 2,
    duration: Annotated[float, typer.Option(min=0.5, help="Seconds that it may take at most.")] = 210.0,
    *,
    usual: _Usual,
) -> None:
    """Changes of configuration under load: errors, answers by a wrong version, and how soon each is in effect."""
    from cascade.load.reload import reload

    if usual.quick:
        changes, duration = min(changes, _QUICK_CHANGES), _QUICK_PATIENCE
    usual.run(reload, replace(usual.options(duration, 1), changes=changes, processes=processes))

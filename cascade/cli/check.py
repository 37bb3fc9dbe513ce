"""`cascade check`: says whether cascade files are valid, and what they would do."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cascade.cli.options import AsJson

if TYPE_CHECKING:
    from cascade.config import CascadeConfig


def run(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Cascade files.", show_default=False)],
    load: Annotated[bool, typer.Option("--load", help="Also load every model, and call it once.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check cascade files, and print the plan of each: its stages in order, with models, depths and time limits."""
    from cascade.cli import output
    from cascade.config import load as read
    from cascade.errors import ConfigError

    shapes: list[dict[str, Any]] = []
    for path in files:
        try:
            config = read(path)
        except ConfigError as error:
            shapes.append({"file": str(path), "valid": False, "problems": list(error.problems)})
            continue
        problems = asyncio.run(_warm_up(path.stem, config)) if load else []
        shapes.append({"file": str(path), "valid": not problems, "problems": problems, "plan": plan(config)})
    if as_json:
        output.print_json({"files": shapes})
    else:
        for shape in shapes:
            _print(shape)
    if not all(shape["valid"] for shape in shapes):
        raise typer.Exit(2)


def plan(config: CascadeConfig) -> dict[str, Any]:
    """What a cascade does, stage by stage in the order they run; `max_time_ms` is None without a limit."""
    stages = []
    for place, stage in enumerate((*config.retrieve, config.fuse, *config.tiers)):
        step = "retrieve" if place < len(config.retrieve) else "fuse" if stage is config.fuse else "rerank"
        stages.append(
            {
                "stage": stage.name,
                "step": step,
                "kind": stage.kind,
                "depth": stage.depth,
                "model": getattr(stage, "model", ""),
                "max_time_ms": getattr(stage, "max_time_ms", None),
            }
        )
    return {
        "description": config.description,
        "config_hash": config.config_hash,
        "budget_ms": config.budget_ms,
        "stages": stages,
    }


async def _warm_up(name: str, config: CascadeConfig) -> list[str]:
    """Load every model of a cascade; what is wrong with them."""
    from cascade.build import Models, build_cascade
    from cascade.errors import ModelLoadError

    models = Models()
    cascade = build_cascade(name, config, models)
    try:
        await cascade.warm_up()
    except ModelLoadError as error:
        return [str(error)]
    finally:
        await cascade.aclose()
        await models.aclose()
    return []


def _print(shape: dict[str, Any]) -> None:
    from cascade.cli import output

    if not shape["valid"]:
        typer.echo(f"{shape['file']}: not valid", err=True)
        for problem in shape["problems"]:
            typer.echo(f"  {problem}", err=True)
        return
    found = shape["plan"]
    budget = "no limit of its own" if found["budget_ms"] is None else f"{found['budget_ms']:g} ms for all tiers"
    typer.echo(f"{shape['file']}: valid, hash {found['config_hash']}, {budget}")
    if found["description"]:
        typer.echo(found["description"])
    stages = output.table("stage", "step", "kind", "depth", "model", "time limit", numbers=(3, 5))
    for s in found["stages"]:
        limit = "" if s["max_time_ms"] is None else f"{s['max_time_ms']:g} ms"
        stages.add_row(s["stage"], s["step"], s["kind"], str(s["depth"]), s["model"], limit)
    output.print_table(stages)

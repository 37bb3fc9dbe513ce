"""`cascade standing`: measures the embedded weights on judged collections and writes the tables of their README."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer


def run(
    collections: Annotated[
        Path, typer.Option(help="The folder that holds the collections of the plan, each in BEIR layout.")
    ],
    work: Annotated[Path, typer.Option(help="Keeps reports and indexes; what is there is not measured again.")],
    out: Annotated[Path, typer.Option(help="The file whose tables are replaced.")] = Path("cascade/weights/README.md"),
    tables_only: Annotated[
        bool, typer.Option("--tables-only", help="Measure nothing; use the reports of --work.")
    ] = False,
) -> None:
    """Measure every embedded model on every collection of the plan, each by a `cascade eval` of its own.

    Interrupted, it goes on where it stopped. Delete a report in --work to measure it again.
    """
    from cascade.evaluate.standing.rows import evaluations, load_plan
    from cascade.evaluate.standing.tables import insert, markdown

    plan = load_plan()
    wanted = evaluations(plan, collections, work)
    work.mkdir(parents=True, exist_ok=True)
    for number, evaluation in enumerate(wanted, start=1):
        typer.echo(f"[{number}/{len(wanted)}] {evaluation.task.title}: {evaluation.tier.title}", err=True)
        if evaluation.report.is_file() or tables_only:
            continue
        # A process each: what one leaves in memory must not slow down the next.
        command = [sys.executable, "-c", "from cascade.cli.app import main; main()", *evaluation.arguments]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=False, text=True)
        if done.returncode:
            raise typer.Exit(done.returncode)  # it has said why
        evaluation.report.write_text(done.stdout, encoding="utf-8")
    reports = {(e.task.title, e.tier.title): json.loads(e.report.read_text(encoding="utf-8")) for e in wanted}
    out.write_text(insert(out.read_text(encoding="utf-8"), markdown(plan, reports)), encoding="utf-8")
    typer.echo(f"{out}: {len(plan.tasks)} tables", err=True)

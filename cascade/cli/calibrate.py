"""`cascade calibrate`: makes probabilities of a tier's scores, from judged documents."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cascade.cli.options import AsJson, Tenant, TimeoutMs, read_settings
from cascade.cli.output import print_json, print_table, table

if TYPE_CHECKING:
    from cascade.evaluate.calibrate import Calibrated, Reliability
    from cascade.evaluate.collection import Collection
    from cascade.evaluate.significance import Interval
    from cascade.evaluate.tier_scores import Gathered


class Method(StrEnum):
    """How scores become probabilities."""

    PLATT = "platt"
    ISOTONIC = "isotonic"


def run(
    collection: Annotated[str, typer.Option(help="A judged collection, as for `cascade eval`.", show_default=False)],
    cascade: Annotated[
        str, typer.Option(help="A cascade file, or the name of a cascade, which needs --out.", show_default=False)
    ],
    split: Annotated[str, typer.Option(help="Which judgments: the file qrels/SPLIT.tsv.")] = "train",
    tier: Annotated[
        str | None, typer.Option(help="The tier; the last that scores each document by itself if not given.")
    ] = None,
    method: Annotated[Method, typer.Option(help="Platt's logistic curve, or a rising line through the data.")] = (
        Method.PLATT
    ),
    min_grade: Annotated[int, typer.Option(min=1, help="From which grade a document counts as relevant.")] = 1,
    judged_only: Annotated[
        bool, typer.Option("--judged-only", help="Leave out documents without a judgment instead of counting them 0.")
    ] = False,
    run_file: Annotated[
        Path | None, typer.Option("--run", help="TREC run: every query is asked about its documents in it.")
    ] = None,
    run_depth: Annotated[int, typer.Option(min=1, help="How many documents of the run.")] = 100,
    limit_queries: Annotated[int | None, typer.Option(min=1, help="Ask so many queries, drawn at random.")] = None,
    seed: Annotated[int, typer.Option(help="Decides what is drawn: queries, folds and intervals.")] = 0,
    concurrency: Annotated[int, typer.Option(min=1, help="Queries in progress at a time.")] = 4,
    timeout_ms: TimeoutMs = 300_000.0,
    out: Annotated[Path | None, typer.Option(help="The file to write; the cascade file if not given.")] = None,
    diagram: Annotated[Path | None, typer.Option(help="PNG file for the reliability diagram.")] = None,
    tenant: Tenant = "default",
    index: Annotated[str | None, typer.Option(help="The index of the collection.")] = None,
    cascades: Annotated[Path | None, typer.Option(help="Folder with TENANT/NAME.yaml.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of indexes.")] = None,
    as_json: AsJson = False,
) -> None:
    """Map a tier's scores to the chance of relevance and write the map into the cascade file.

    Results then carry `probability`, and requests may ask for `min_probability`. The order does not change.
    """
    from cascade.cli.judged import cascade_of, collection_of, setup_of
    from cascade.evaluate import calibrate as fitting
    from cascade.evaluate import cascade_file
    from cascade.evaluate.tier_scores import ending_with, gather, pointwise

    settings = read_settings(host="127.0.0.1", port=0, cascades_dir=cascades, data_dir=data_dir)
    settings = settings.model_copy(update={"metrics_port": None})
    found = cascade_of(cascade, settings, tenant, out)
    chosen = pointwise(found.config, tier, cascade)
    judged = collection_of(collection, split, run_file, run_depth, limit_queries, seed)
    setup = setup_of(found.name, judged, index, concurrency, timeout_ms, seed)
    gathered = asyncio.run(gather(settings, judged, ending_with(found.config, chosen), setup, tenant=tenant))
    scored = _labelled(judged, gathered, min_grade, judged_only)
    made = fitting.calibrate(fitting.judged_of(scored), method.value, seed=seed)
    evidence = _evidence(judged, made, min_grade, judged_only)
    if diagram is not None:
        fitting.diagram(made, f"{found.name}, {chosen.name}, on {judged.name} ({judged.split})", diagram)
    fitted = {**made.calibration.model_dump(mode="json"), "evidence": evidence}
    text = cascade_file.with_settings(found.text, cascade, chosen.name, {"calibration": fitted})
    cascade_file.write(found.out, text)
    if as_json:
        print_json(_json(made, chosen.name, found.out, gathered.lost, evidence))
        return
    _print(made)
    typer.echo(f"calibration of tier {chosen.name!r} written to {found.out}")
    if gathered.lost:
        typer.echo(f"{gathered.lost} queries had no scores and are left out")


def _labelled(
    collection: Collection, gathered: Gathered, min_grade: int, judged_only: bool
) -> list[tuple[list[float], list[bool]]]:
    from cascade.evaluate.tier_scores import without_excluded

    found = []
    for query_id, scores in gathered.by_query.items():
        grades = collection.qrels[query_id]
        kept = [(d, s) for d, s in without_excluded(collection, query_id, scores) if d in grades or not judged_only]
        if kept:
            found.append(([s for _, s in kept], [grades.get(d, 0) >= min_grade for d, _ in kept]))
    return found


def _evidence(collection: Collection, made: Calibrated, min_grade: int, judged_only: bool) -> dict[str, Any]:
    return {
        "collection": collection.name,
        "split": collection.split,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "queries": made.queries,
        "documents": made.documents,
        "relevant": made.relevant,
        "min_grade": min_grade,
        "unjudged": "left out" if judged_only else "not relevant",
        "brier": round(made.after.brier.mean, 4),
        "log_loss": round(made.after.log_loss.mean, 4),
        "ece": round(made.after.ece.mean, 4),
    }


def _json(made: Calibrated, tier: str, out: Path, lost: int, evidence: dict[str, Any]) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "tier": tier,
        "file": str(out),
        "calibration": made.calibration.model_dump(mode="json"),
        "evidence": evidence,
        "queries_without_scores": lost,
        "before": asdict(made.before),
        "base_rate": asdict(made.base_rate),
        "after": asdict(made.after),
    }


def _print(made: Calibrated) -> None:
    shown = table("probability", "Brier score", "log loss", "calibration error", numbers=(1, 2, 3))
    rows: tuple[tuple[str, Reliability], ...] = (
        ("score as a logit", made.before),
        ("always the base rate", made.base_rate),
        ("calibrated, held out", made.after),
    )
    for name, found in rows:
        shown.add_row(name, _cell(found.brier), _cell(found.log_loss), _cell(found.ece))
    print_table(shown)
    typer.echo(
        f"{made.documents:,} documents of {made.queries} queries, {made.relevant:,} relevant; "
        "95 % intervals over queries; lower is better"
    )


def _cell(value: Interval) -> str:
    return f"{value.mean:.4f} ({value.low:.4f}-{value.high:.4f})"

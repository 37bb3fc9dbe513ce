"""`cascade tune`: finds how few documents a tier has to read, and writes it into the cascade file."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cascade.cli.options import AsJson, Tenant, TimeoutMs, read_settings
from cascade.cli.output import print_json, print_table, table

if TYPE_CHECKING:
    from cascade.config import CascadeConfig, PointwiseConfig
    from cascade.evaluate.collection import Collection
    from cascade.evaluate.through_server import Setup
    from cascade.evaluate.tune import Difference, Simulation, Step, Tuned
    from cascade_server.settings import Settings


@dataclass(frozen=True, slots=True)
class Live:
    """What the chosen setting did through a server, on the queries that it was not chosen by."""

    tokens: float
    difference: Difference


def run(
    collection: Annotated[str, typer.Option(help="A judged collection, as for `cascade eval`.", show_default=False)],
    cascade: Annotated[
        str, typer.Option(help="A cascade file, or the name of a cascade, which needs --out.", show_default=False)
    ],
    split: Annotated[str, typer.Option(help="Which judgments: the file qrels/SPLIT.tsv.")] = "train",
    tier: Annotated[
        str | None, typer.Option(help="The tier; the last that scores each document by itself if not given.")
    ] = None,
    margin: Annotated[
        float, typer.Option(min=0.0001, max=1, help="How much nDCG@10 may be lost against full depth.")
    ] = 0.003,
    run_file: Annotated[
        Path | None, typer.Option("--run", help="TREC run: every query is asked about its documents in it.")
    ] = None,
    run_depth: Annotated[int, typer.Option(min=1, help="How many documents of the run.")] = 100,
    limit_queries: Annotated[int | None, typer.Option(min=4, help="Ask so many queries, drawn at random.")] = None,
    seed: Annotated[int, typer.Option(help="Decides what is drawn: queries, halves and intervals.")] = 0,
    concurrency: Annotated[int, typer.Option(min=1, help="Queries in progress at a time.")] = 4,
    timeout_ms: TimeoutMs = 300_000.0,
    out: Annotated[Path | None, typer.Option(help="The file to write; the cascade file if not given.")] = None,
    tenant: Tenant = "default",
    index: Annotated[str | None, typer.Option(help="The index of the collection.")] = None,
    cascades: Annotated[Path | None, typer.Option(help="Folder with TENANT/NAME.yaml.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of indexes.")] = None,
    as_json: AsJson = False,
) -> None:
    """Find the fewest tokens at an nDCG@10 not worse than full depth's by the margin, and write the setting down.

    Every candidate is scored once through a live server. Fixed depths and early stops, and where the tier blends also
    other blends, are then simulated; they are chosen on one half of the queries and tested on the other.
    """
    from cascade.cli.judged import cascade_of, collection_of, setup_of
    from cascade.evaluate import cascade_file
    from cascade.evaluate.tier_scores import ending_with, gather, pointwise
    from cascade.evaluate.tune import Simulation, search

    settings = read_settings(host="127.0.0.1", port=0, cascades_dir=cascades, data_dir=data_dir)
    settings = settings.model_copy(update={"metrics_port": None})
    found = cascade_of(cascade, settings, tenant, out)
    chosen = pointwise(found.config, tier, cascade).model_copy(update={"until": None})
    judged = collection_of(collection, split, run_file, run_depth, limit_queries, seed)
    setup = setup_of(found.name, judged, index, concurrency, timeout_ms, seed)
    gathered = asyncio.run(gather(settings, judged, ending_with(found.config, chosen), setup, tenant=tenant))
    simulation = Simulation(chosen, judged, gathered.by_query)
    tuned = search(simulation, chosen, margin=margin, seed=seed)
    step = tuned.chosen
    live = None
    if step is not None:
        live = asyncio.run(_live(settings, judged, found.config, step, tuned, simulation, setup, tenant, margin))
    confirmed = step is not None and live is not None and live.difference.low > -margin
    if step is not None and live is not None and confirmed:
        evidence = _evidence(judged, step, live, tuned, margin)
        text = cascade_file.with_settings(found.text, cascade, chosen.name, _changes(step.trial.tier, evidence))
        cascade_file.write(found.out, text)
    if as_json:
        print_json(_json(chosen, tuned, live, margin, found.out if confirmed else None, len(gathered.by_query)))
    else:
        _print(tuned, live, margin)
        if confirmed:
            typer.echo(f"tier {chosen.name!r} written to {found.out}")
    if not confirmed:
        typer.echo("no setting with fewer tokens was confirmed: nothing is written; more queries tell more", err=True)
        raise typer.Exit(1)


async def _live(
    settings: Settings,
    collection: Collection,
    config: CascadeConfig,
    step: Step,
    tuned: Tuned,
    simulation: Simulation,
    setup: Setup,
    tenant: str,
    margin: float,
) -> Live:
    """Ask the queries of the second half again, of a server that runs the setting."""
    from cascade.evaluate.measures import score, without
    from cascade.evaluate.progress import count
    from cascade.evaluate.serving import serving, with_room
    from cascade.evaluate.through_server import evaluate
    from cascade.evaluate.tier_scores import ending_with
    from cascade.evaluate.tune import MEASURE, compare

    half = [simulation.query_ids[place] for place in tuned.confirmed_by]
    part = collection.only(set(half), "the half that settings are confirmed by")
    last = ending_with(config, step.trial.tier)
    async with serving(with_room(settings, part), tenant, only={setup.cascade: last}) as served:
        with count("asking again, with the setting", len(part.queries)) as answered:
            report, runs = await evaluate(served.client, part, setup, answered=answered)
    name = step.trial.tier.name
    gains = score(without(runs[name], part.excluded), {q: part.qrels[q] for q in half}, (MEASURE,))[MEASURE]
    full = tuned.full.of(tuned.confirmed_by)
    tokens = next(figures.tokens for figures in report.stages if figures.stage.name == name)
    return Live(tokens, compare(gains, full.gain, margin=margin, seed=setup.seed))


def _changes(tier: PointwiseConfig, evidence: dict[str, Any]) -> dict[str, Any]:
    """What changes in the tier's entry of the file."""
    changes: dict[str, Any] = {"depth": tier.depth, "until": None}
    if tier.until is not None:
        until = tier.until.model_dump(mode="json", exclude_none=True)
        changes["until"] = {**until, "evidence": evidence}
    if tier.blend is not None:
        fields = {"method", "weight", "rrf_k"} if tier.blend.method == "rrf" else {"method", "weight"}
        changes["blend"] = tier.blend.model_dump(mode="json", include=fields)
    return changes


def _evidence(collection: Collection, step: Step, live: Live, tuned: Tuned, margin: float) -> dict[str, Any]:
    full = tuned.full.of(tuned.confirmed_by)
    return {
        "collection": collection.name,
        "split": collection.split,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "queries": len(full.gain),
        "tokens_full_depth": round(float(full.tokens.mean())),
        "tokens": round(live.tokens),
        "ndcg_10_difference": round(live.difference.mean, 5),
        "ndcg_10_difference_low": round(live.difference.low, 5),
        "margin": margin,
        "p": round(live.difference.p, 5),
        "queries_changed": live.difference.changed,
    }


def describe(tier: PointwiseConfig) -> str:
    """A setting in a few words."""
    blend = "" if tier.blend is None else f", blend {tier.blend.method} {tier.blend.weight:g}"
    if tier.until is None:
        return f"depth {tier.depth}{blend}"
    until = tier.until
    prior = "" if until.prior is None else ", prior"
    return f"top {until.stable_top} at {until.confidence:g}, from {until.first} by {until.step}{prior}{blend}"


def _json(
    tier: PointwiseConfig, tuned: Tuned, live: Live | None, margin: float, written: Path | None, queries: int
) -> dict[str, Any]:
    from dataclasses import asdict

    full = tuned.full.of(tuned.confirmed_by)
    tokens = float(full.tokens.mean())
    chosen = tuned.chosen
    return {
        "tier": tier.name,
        "queries": queries,
        "confirmed_by": len(tuned.confirmed_by),
        "margin": margin,
        "full_depth": {"depth": tier.depth, "tokens": tokens, "nDCG@10": float(full.gain.mean())},
        "steps": [
            {
                "setting": describe(step.trial.tier),
                "tokens": step.tokens,
                "times_fewer": tokens / max(1.0, step.tokens),
                "difference": asdict(step.difference),
                "passed": step.passed,
            }
            for step in tuned.steps
        ],
        "chosen": None if chosen is None else _changes(chosen.trial.tier, {}),
        "live": None if live is None else {**asdict(live), "times_fewer": tokens / max(1.0, live.tokens)},
        "written": None if written is None else str(written),
    }


def _print(tuned: Tuned, live: Live | None, margin: float) -> None:
    full = tuned.full.of(tuned.confirmed_by)
    tokens = float(full.tokens.mean())
    shown = table("setting", "tokens", "fewer", "Δ nDCG@10", "at least", "p", "", numbers=(1, 2, 3, 4, 5))
    shown.add_row("full depth", f"{tokens:.0f}", "", f"({full.gain.mean():.4f})", "", "", "")
    rows = [(describe(s.trial.tier), s.tokens, s.difference, "passed" if s.passed else "failed") for s in tuned.steps]
    if live is not None:
        rows.append(("the best that passed, live", live.tokens, live.difference, ""))
    for name, count, difference, verdict in rows:
        fewer = f"{tokens / max(1.0, count):.2f}x"
        numbers = f"{difference.mean:+.4f}", f"{difference.low:+.4f}", f"{difference.p:.4f}"
        shown.add_row(name, f"{count:.0f}", fewer, *numbers, verdict)
    print_table(shown)
    typer.echo(
        f"Chosen on {len(tuned.chosen_by)} queries, tested on {len(tuned.confirmed_by)} others in this order until one "
        f"fails. at least: one-sided 95 % bound, which must be above {-margin:g}. p: of so small a loss by chance if "
        "the true one were the margin."
    )
    if live is not None and live.difference.changed == 0:
        typer.echo(
            f"No query came out otherwise. Of {len(full.gain)} queries that says only that fewer than "
            f"{min(1.0, 3 / len(full.gain)):.1%} do (rule of three): more queries tell more."
        )

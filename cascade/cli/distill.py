"""`cascade distill`: teaches smaller cross-encoders what larger ones, or any scorer, know."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cascade.cli.options import AsJson
from cascade.cli.output import print_json, print_table, table
from cascade.cli.train import (
    Data,
    DevData,
    DevSplit,
    Lists,
    Threads,
    counts_of,
    development_of,
    set_threads,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cascade.train.distillation import DistilRecipe
    from cascade.train.rungs import Rung


def distill_command(
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="Where lists, scores, logs, curves and models go.")],
    teacher: Annotated[
        list[str],
        typer.Option(
            help="A cross-encoder or bi-encoder (folder, embedded name, hub id), or scores: a TREC run, or JSON lines "
            "of query_id, doc_id, score. Repeat it for an ensemble: the mean of z-scores, weighted by TEACHER=WEIGHT."
        ),
    ],
    student: Annotated[
        str, typer.Option(help="What the first rung is cut from; by default the first teacher, or all-MiniLM-L6-v2.")
    ] = "",
    ladder: Annotated[str, typer.Option(help="Layers of each rung; a rung is cut from the one before it.")] = "3",
    keep: Annotated[str, typer.Option(help="Instead of --ladder: the layers to keep, from 0, such as 0,2,5.")] = "",
    bi_encoder: Annotated[str, typer.Option(help="Whose vectors find hard documents.")] = "embedded:all-minilm-l6-v2",
    label: Annotated[float, typer.Option(min=0, help="Weight of the labels' cross-entropy.")] = 0.2,
    kl: Annotated[float, typer.Option(min=0, help="Weight of the divergence from the teacher's softmax.")] = 1.0,
    margin: Annotated[float, typer.Option(min=0, help="Weight of the squared error of score differences.")] = 0.05,
    temperature: Annotated[float, typer.Option(min=0.01, help="Of the softmax that is compared.")] = 1.0,
    lists: Lists = None,
    hard: Annotated[float, typer.Option(min=0, help="Documents of a list from the collection's own retrieval.")] = 5,
    random: Annotated[float, typer.Option(min=0, help="Documents of a list from anywhere.")] = 1,
    echoes: Annotated[float, typer.Option(min=0, help="Other questions that stand in a list as documents.")] = 0.5,
    near_misses: Annotated[float, typer.Option(min=0, help="Wrong sentences given the question's words.")] = 0.5,
    plain: Annotated[float, typer.Option(min=0, max=1, help="How often an answer loses the question's words.")] = 0.3,
    lists_per_batch: Annotated[int, typer.Option(min=1, help="Questions in a batch.")] = 8,
    learning_rate: Annotated[float, typer.Option(min=0, help="The highest learning rate.")] = 1e-4,
    steps: Annotated[int | None, typer.Option(min=1, help="Stop each rung after this many steps.")] = None,
    max_length: Annotated[int, typer.Option(min=16, max=512, help="Tokens of a pair.")] = 128,
    checkpoint_steps: Annotated[int, typer.Option(min=1, help="Steps between two checkpoints.")] = 100,
    seed: Annotated[int, typer.Option(help="Decides lists and order.")] = 13,
    bf16: Annotated[bool, typer.Option(help="Forward passes in bfloat16.")] = True,
    resume: Annotated[bool, typer.Option("--resume", help="Go on in --out; nothing that is there is done twice.")] = (
        False
    ),
    dev_data: DevData = None,
    dev_split: DevSplit = "test",
    dev_sample: Annotated[int, typer.Option(min=1, help="Questions that the rungs are measured on.")] = 100,
    dev_every: Annotated[int, typer.Option(min=1, help="Steps between two measurements.")] = 300,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Teach smaller cross-encoders what larger ones know, and show what each rung keeps and how fast it is.

    Documents are mined by the collection's own index, BM25 and vectors fused. With --dev-data every rung is measured
    beside the first teacher that is a cross-encoder.
    """
    from cascade.train.candidate_lists import CandidateMix
    from cascade.train.distillation import DistilRecipe, distil
    from cascade.train.fitting import Schedule
    from cascade.train.list_loss import LossMix

    set_threads(threads)
    teachers, weights = zip(*map(_weighted, teacher), strict=True)
    recipe = DistilRecipe(
        teachers=teachers,
        weights=weights if len(set(weights)) > 1 else (),
        student=student,
        ladder=_numbers("--ladder", ladder),
        keep=_numbers("--keep", keep) if keep else (),
        bi_encoder=bi_encoder,
        max_length=max_length,
        candidates=CandidateMix(hard=hard, random=random, echoes=echoes, near_misses=near_misses, plain=plain),
        mix=LossMix(label=label, kl=kl, margin=margin, temperature=temperature),
        lists=counts_of(lists),
        schedule=Schedule(
            lists_per_batch=lists_per_batch,
            learning_rate=learning_rate,
            steps=steps,
            bf16=bf16,
            seed=seed,
            checkpoint_steps=checkpoint_steps,
        ),
    )
    development = development_of(dev_data, dev_split, dev_sample, dev_every)
    with redirect_stdout(sys.stderr):  # the trainer's log is no answer
        models = distil(data, out, recipe, development=development, resume=resume)
    if development is None:
        for folder in models.values():
            typer.echo(f"{folder}")
        return
    from cascade.train.rungs import measure_rungs, write_report

    rungs = measure_rungs(_compared(recipe, models), development.load(), max_length=max_length)
    write_report(rungs, out / "report.json")
    _print(rungs, as_json=as_json)


def _compared(recipe: DistilRecipe, models: dict[str, Path]) -> dict[str, str]:
    from cascade.train.teacher_scores import is_bi_encoder, is_score_file

    found = {name: str(folder.absolute()) for name, folder in models.items()}
    teachers = [name for name in recipe.teachers if not is_score_file(name) and not is_bi_encoder(name)]
    return {"teacher": teachers[0], **found} if teachers else found


def _print(rungs: Sequence[Rung], *, as_json: bool) -> None:
    if as_json:
        from dataclasses import asdict

        print_json([asdict(rung) for rung in rungs])
        return
    columns = table("model", "nDCG@10", "95 %", "of the first", "p", "pairs/s", "speed", numbers=(1, 3, 4, 5, 6))
    for rung in rungs:
        columns.add_row(
            rung.name,
            f"{rung.ndcg.mean:.3f}",
            f"{rung.ndcg.low:.3f} to {rung.ndcg.high:.3f}",
            f"{rung.share:.1%}",
            f"{rung.p:.3f}",
            f"{rung.pairs_per_second:.1f}",
            f"{rung.speed:.2f}x",
        )
    print_table(columns)


def _weighted(teacher: str) -> tuple[str, float]:
    """A teacher and how much it counts, of REFERENCE or REFERENCE=WEIGHT."""
    reference, _, weight = teacher.rpartition("=")
    if not reference or Path(teacher).expanduser().exists():
        return teacher, 1.0
    try:
        found = float(weight)
    except ValueError:
        found = 0.0
    if not 0 < found < float("inf"):
        message = f"found {teacher!r}, expected TEACHER=WEIGHT with a weight above 0, such as embedded:cross-encoder=2"
        raise typer.BadParameter(message, param_hint="--teacher")
    return reference, found


def _numbers(option: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(
            f"found {text!r}, expected numbers with commas, such as 6,3", param_hint=option
        ) from None

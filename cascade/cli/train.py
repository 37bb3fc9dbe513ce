"""`cascade train`: trains the models of the reranking tiers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cascade.train.development import Development

app = typer.Typer(no_args_is_help=True, help="Train the models of the reranking tiers.")

Data = Annotated[list[Path], typer.Option("--data", help="A BEIR folder to train on; may be repeated.")]
Out = Annotated[Path, typer.Option("--out", help="Where checkpoints, the log and the model go.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint in --out.")]
Steps = Annotated[int | None, typer.Option(min=1, help="Stop after this many steps instead of one pass.")]
Seed = Annotated[int, typer.Option(help="Decides lists, order and initial head.")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads; all cores by default.")]
DevData = Annotated[Path | None, typer.Option("--dev-data", help="A BEIR folder to measure on meanwhile.")]
DevSplit = Annotated[str, typer.Option(help="The split of --dev-data.")]


Lists = Annotated[
    list[str] | None, typer.Option(help="COLLECTION=COUNT: use so many of its questions; may be repeated.")
]


@app.command("cross-encoder")
def cross_encoder(
    data: Data,
    out: Out,
    resume: Resume = False,
    base: Annotated[
        str, typer.Option(help="A BERT bi-encoder with mean pooling, or a pair encoder to go on with.")
    ] = "embedded:all-minilm-l6-v2",
    steps: Steps = None,
    seed: Seed = 13,
    threads: Threads = None,
    dev_data: DevData = None,
    dev_split: DevSplit = "test",
    dev_sample: Annotated[int, typer.Option(min=1, help="Questions to measure on meanwhile.")] = 100,
    dev_every: Annotated[int, typer.Option(min=1, help="Steps between two measurements.")] = 300,
    lists: Lists = None,
    lists_per_batch: Annotated[int, typer.Option(min=1, help="Questions in a batch.")] = 8,
    learning_rate: Annotated[float, typer.Option(min=0, help="The highest learning rate.")] = 5e-5,
    max_length: Annotated[int, typer.Option(min=16, max=512, help="Tokens of a pair while training.")] = 160,
    bf16: Annotated[bool, typer.Option(help="Forward passes in bfloat16.")] = True,
) -> None:
    """Train a cross-encoder from a bi-encoder's weights on judged questions, with mined negatives.

    Each folder has triples.train.jsonl, or listwise.train.jsonl (graded), or qrels/train.tsv.
    """
    from cascade.train.cross_encoder import CrossEncoderRecipe, train_cross_encoder
    from cascade.train.fitting import Schedule

    set_threads(threads)
    recipe = CrossEncoderRecipe(
        base=base,
        max_length=max_length,
        lists=counts_of(lists),
        schedule=Schedule(
            lists_per_batch=lists_per_batch, learning_rate=learning_rate, steps=steps, bf16=bf16, seed=seed
        ),
    )
    development = development_of(dev_data, dev_split, dev_sample, dev_every)
    model = train_cross_encoder(data, out, recipe, development=development, resume=resume)
    typer.echo(f"{model}")


@app.command("late-interaction")
def late_interaction(
    data: Data,
    out: Out,
    resume: Resume = False,
    steps: Steps = None,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the lists.")] = 1,
    seed: Seed = 13,
    threads: Threads = None,
    dev_data: DevData = None,
    dev_split: DevSplit = "test",
    dev_sample: Annotated[int, typer.Option(min=1, help="Questions to measure on meanwhile.")] = 100,
    dev_every: Annotated[int, typer.Option(min=1, help="Steps between two measurements.")] = 300,
    lists: Lists = None,
    lists_per_batch: Annotated[int, typer.Option(min=1, help="Questions in a batch.")] = 8,
    dimensions: Annotated[int, typer.Option(min=8, help="Components of a token's vector.")] = 128,
    trained_layers: Annotated[int, typer.Option(min=0, help="Layers trained too, from the top.")] = 0,
    learning_rate: Annotated[float, typer.Option(min=0, help="The highest learning rate of layers.")] = 3e-5,
    projection_learning_rate: Annotated[float, typer.Option(min=0, help="The highest of the projection.")] = 3e-4,
    temperature: Annotated[float, typer.Option(min=0.01, help="What MaxSim is divided by.")] = 0.5,
    vectors: Annotated[Path | None, typer.Option(help="A folder that keeps the bi-encoder's vectors.")] = None,
    bf16: Annotated[bool, typer.Option(help="Forward passes in bfloat16.")] = True,
) -> None:
    """Train a late interaction model over all-MiniLM-L6-v2 on judged questions, with mined negatives.

    Each folder has triples.train.jsonl. Without trained layers every text is read once, and further passes cost little.
    """
    from cascade.train.late_interaction import LateInteractionRecipe, train_late_interaction

    set_threads(threads)
    recipe = LateInteractionRecipe(
        dimensions=dimensions,
        trained_layers=trained_layers,
        temperature=temperature,
        lists_per_batch=lists_per_batch,
        epochs=epochs,
        learning_rate=learning_rate,
        projection_learning_rate=projection_learning_rate,
        lists=counts_of(lists),
        steps=steps,
        bf16=bf16,
        seed=seed,
    )
    development = development_of(dev_data, dev_split, dev_sample, dev_every)
    model = train_late_interaction(data, out, recipe, vectors=vectors, development=development, resume=resume)
    typer.echo(f"{model}")


@app.command("pack")
def pack(
    model: Annotated[Path, typer.Argument(help="The folder of a finished cross-encoder or late interaction model.")],
    out: Annotated[Path, typer.Option("--out", help="Where the small files go.")],
    base: Annotated[str, typer.Option(help="What a cross-encoder began as.")] = "embedded:all-minilm-l6-v2",
) -> None:
    """Write a trained model as its eight-bit difference to the bi-encoder it began as, for shipping."""
    from cascade.weights import all_minilm, cross_encoder, late_interaction, resolve

    if late_interaction.is_one(model):
        size = late_interaction.ship(model, resolve(all_minilm.REFERENCE), out)
    else:
        size = cross_encoder.ship(model, base, out)
    typer.echo(f"{out}: {size / 1e6:.1f} MB")


@app.command("average")
def average(
    models: Annotated[
        list[str], typer.Argument(help="MODEL=WEIGHT: folders of pair encoders; 'start' is the untrained one.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Where the averaged model goes.")],
    base: Annotated[str, typer.Option(help="What 'start' is grafted from.")] = "embedded:all-minilm-l6-v2",
) -> None:
    """Average the weights of cross-encoders trained from one start, the start itself among them if named."""
    from cascade.train.average import average as averaged

    parts = [model.rpartition("=") for model in models]
    try:
        weights = {name: float(weight) for name, _, weight in parts}
    except ValueError as error:
        raise typer.BadParameter(f"found {' '.join(models)!r}, expected MODEL=WEIGHT such as start=0.4") from error
    typer.echo(f"{averaged(weights, base, out)}")


@app.command("export-gguf")
def export_gguf(
    model: Annotated[str, typer.Argument(help="embedded:NAME, or the folder of a joint model.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="Where the file goes.")],
) -> None:
    """Write the layers of a joint model as a GGUF file, for a server that tells every token's hidden state."""
    from cascade.rerank.listwise.joint_gguf import export_gguf as exported

    size = exported(model, out)
    typer.echo(f"{out}: {size / 1e6:.1f} MB")


@app.command("listwise")
def listwise(
    data: Data,
    out: Out,
    resume: Resume = False,
    base: Annotated[str, typer.Option(help="The causal language model.")] = "embedded:smollm2-135m-instruct",
    minutes: Annotated[float, typer.Option(min=0, help="Train for at most this long, resumes included.")] = 60,
    steps: Annotated[int, typer.Option(min=1, help="Stop after this many steps.")] = 100_000,
    seed: Annotated[int, typer.Option(help="Decides lists, order and initial weights.")] = 17,
    threads: Threads = None,
) -> None:
    """Train the joint listwise tier's adapters and projector on judged questions."""
    from cascade.train.listwise import train

    set_threads(threads)
    model = train(
        data=data,
        out=out,
        base=base,  # the reference is written down: a model must load where this folder is not
        work=out / "work",
        vectors=out / "work" / "embeddings",
        minutes=minutes,
        steps=steps,
        seed=seed,
        resume=resume,
    )
    typer.echo(f"{model}")


def set_threads(threads: int | None) -> None:
    """How many threads of the processor torch may use from now on."""
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


def counts_of(lists: list[str] | None) -> dict[str, int]:
    """COLLECTION=COUNT pairs as a mapping."""
    counts = {}
    for item in lists or ():
        name, _, count = item.partition("=")
        if not name or not count.isdigit():
            raise typer.BadParameter(f"found {item!r}, expected COLLECTION=COUNT", param_hint="--lists")
        counts[name] = int(count)
    return counts


def development_of(folder: Path | None, split: str, sample: int, every_steps: int) -> Development | None:
    """What --dev-data and its companions say."""
    if folder is None:
        return None
    from cascade.train.development import Development

    return Development(folder, split, sample=sample, every_steps=every_steps)

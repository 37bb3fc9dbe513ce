"""Trains a pointwise cross-encoder from a bi-encoder's weights on judged questions."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from cascade.errors import InvalidInputError, Violation
from cascade.train.data import Encode, Similarity, Triple, read_collection, read_triples
from cascade.train.development import DevelopmentSet
from cascade.train.lists import ListMix, TrainingList, build_lists
from cascade.weights import resolve_model

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CrossEncoderRecipe:
    """Everything that decides what a training run learns; the same recipe and data give the same lists."""

    base: str = "embedded:all-minilm-l6-v2"
    teacher: str = "embedded:all-minilm-l6-v2"
    max_length: int = 160
    teacher_max_length: int = 192
    lists_per_batch: int = 8
    learning_rate: float = 5e-5
    gate_learning_rate: float = 5e-3
    head_learning_rate: float = 5e-4
    warmup_share: float = 0.05
    lists: Mapping[str, int] = field(default_factory=dict)  # by collection; all of one that is not named
    steps: int | None = None
    bf16: bool = True
    seed: int = 13
    checkpoint_steps: int = 100
    mix: ListMix = field(
        default_factory=lambda: ListMix(nearest=3, overlapping=2, random=1, echoes=0.5, label_share=0.7)
    )


@dataclass(frozen=True, slots=True)
class Development:
    """A judged split to measure on while training: BM25's best `depth` documents of `sample` questions."""

    folder: Path
    split: str = "test"
    depth: int = 20
    sample: int = 100
    every_steps: int = 300


def train_cross_encoder(
    data: Sequence[Path],
    out: Path,
    recipe: CrossEncoderRecipe,
    *,
    development: Development | None = None,
    resume: bool = False,
) -> Path:
    """Trains and returns the folder of the finished model, `out`/model, which `CrossEncoder(path)` loads.

    `out` also keeps the bi-encoder's vectors, checkpoints, the recipe and `log.jsonl`, one line for each
    logged step. With `resume` training goes on from the last checkpoint there. Word embeddings stay frozen.
    """
    from sentence_transformers.cross_encoder import CrossEncoderTrainer, CrossEncoderTrainingArguments
    from transformers import set_seed

    from cascade.train.list_loss import SoftListLoss
    from cascade.train.order import in_given_order
    from cascade.train.progress import RerankingEvaluator, StepLog

    checkpoints = out / "checkpoints"
    if resume and not any(checkpoints.glob("checkpoint-*")):
        message = "holds no checkpoint to resume from: check the folder, or train without resuming"
        raise InvalidInputError([Violation(str(checkpoints), message)])
    if not resume and checkpoints.exists():
        message = "already holds checkpoints: resume from them, or train into another folder"
        raise InvalidInputError([Violation(str(checkpoints), message)])
    out.mkdir(parents=True, exist_ok=True)
    (out / "recipe.json").write_text(json.dumps(asdict(recipe), indent=2) + "\n", encoding="utf-8")

    lists = prepare_lists(data, out, recipe)
    set_seed(recipe.seed)
    model = untrained_cross_encoder(recipe)
    evaluator = None
    if development is not None:
        split = DevelopmentSet.load(
            development.folder, development.split, depth=development.depth, sample=development.sample
        )
        evaluator = RerankingEvaluator(split, bf16=recipe.bf16)
    arguments = CrossEncoderTrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=1,
        max_steps=recipe.steps or -1,
        per_device_train_batch_size=recipe.lists_per_batch,
        learning_rate=recipe.learning_rate,
        learning_rate_mapping={r"gate$": recipe.gate_learning_rate, r"head\.": recipe.head_learning_rate},
        warmup_steps=recipe.warmup_share,
        lr_scheduler_type="linear",
        eval_strategy="no" if evaluator is None else "steps",
        eval_steps=None if development is None else development.every_steps,
        save_strategy="steps",
        save_steps=recipe.checkpoint_steps,
        save_total_limit=3,
        logging_steps=10,
        use_cpu=True,
        dataloader_pin_memory=False,
        batch_sampler=in_given_order,
        seed=recipe.seed,
        data_seed=recipe.seed,
        report_to="none",
    )
    trainer = CrossEncoderTrainer(
        model=model,
        args=arguments,
        train_dataset=_dataset(lists),
        loss=SoftListLoss(model, bf16=recipe.bf16),
        evaluator=evaluator,
        callbacks=[StepLog(out / "log.jsonl")],
    )
    trainer.train(resume_from_checkpoint=resume)
    finished = out / "model"
    model.save_pretrained(str(finished), create_model_card=False)
    _log.info("cross_encoder_trained", folder=str(finished), steps=trainer.state.global_step)
    return finished


def prepare_lists(data: Sequence[Path], out: Path, recipe: CrossEncoderRecipe) -> list[TrainingList]:
    """The lists in the order of training, with the bi-encoder's vectors kept in `out`/embeddings."""
    encode = _encode(recipe)
    lists: list[TrainingList] = []
    for folder in data:
        collection = read_collection(folder)
        triples = read_triples(folder, collection)
        chosen = _spread(triples, recipe.lists.get(collection.name, len(triples)))
        similarity = Similarity.of(collection, encode, out / "embeddings")
        lists.extend(build_lists(collection, chosen, similarity, recipe.mix, recipe.seed))
        _log.info("training_lists_ready", collection=collection.name, lists=len(chosen), triples=len(triples))
    random.Random(recipe.seed).shuffle(lists)
    return lists


def untrained_cross_encoder(recipe: CrossEncoderRecipe) -> CrossEncoder:
    """The base grafted into a pair encoder, its word embeddings frozen; before training it ranks like the base.

    Dropout is off: a run sees most lists once, and drawing the masks costs a CPU a fifth of its time.
    """
    import torch
    from sentence_transformers import CrossEncoder

    from cascade.inference.pair_encoder import PairEncoder

    module = PairEncoder.graft(resolve_model(recipe.base), max_seq_length=recipe.max_length)
    module.bert.embeddings.requires_grad_(False)
    return CrossEncoder(modules=[module], activation_fn=torch.nn.Identity(), device="cpu")


def _encode(recipe: CrossEncoderRecipe) -> Encode:
    def encode(texts: Sequence[str]) -> Any:
        import torch
        from sentence_transformers import SentenceTransformer

        teacher = SentenceTransformer(resolve_model(recipe.teacher), device="cpu", local_files_only=True)
        teacher.max_seq_length = recipe.teacher_max_length
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bf16):
            return teacher.encode(list(texts), normalize_embeddings=True, show_progress_bar=True)

    return encode


def _spread(triples: Sequence[Triple], limit: int) -> list[Triple]:
    """At most `limit` triples, taken at even distances, so that every part of the collection is in."""
    step = max(1.0, len(triples) / limit)
    return [triples[int(index * step)] for index in range(min(limit, len(triples)))]


def _dataset(lists: Sequence[TrainingList]) -> Any:
    from datasets import Dataset

    return Dataset.from_dict(
        {
            "query": [item.query for item in lists],
            "documents": [list(item.documents) for item in lists],
            "labels": [list(item.targets) for item in lists],
        }
    )

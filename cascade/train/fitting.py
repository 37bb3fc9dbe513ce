"""Trains a cross-encoder on lists of documents, resumably, with a log and a curve in the run's folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from cascade.errors import InvalidInputError, Violation
from cascade.train.development import Development

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

    from cascade.train.list_loss import LossMix

_log = structlog.get_logger(__name__)

CHECKPOINTS, LOG, MODEL = "checkpoints", "log.jsonl", "model"


@dataclass(frozen=True, slots=True)
class ScoredList:
    """One question's documents: for each what a teacher gave it and its label, which is not negative.

    `teacher` is empty where there is none; labels that sum to 0 say nothing.
    """

    query: str
    documents: tuple[str, ...]
    labels: tuple[float, ...]
    teacher: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Schedule:
    """How weights move: AdamW with a linear warm-up and decay, the new parts of a pair encoder faster than the old."""

    lists_per_batch: int = 8
    learning_rate: float = 5e-5
    gate_learning_rate: float = 5e-3
    head_learning_rate: float = 5e-4
    warmup_share: float = 0.05
    steps: int | None = None
    bf16: bool = True
    seed: int = 13
    checkpoint_steps: int = 100


def check_folder(out: Path, *, resume: bool) -> None:
    """Raises InvalidInputError when there is nothing to resume in `out`, or something that would be overwritten."""
    checkpoints = out / CHECKPOINTS
    if resume and not any(checkpoints.glob("checkpoint-*")):
        message = "holds no checkpoint to resume from: check the folder, or train without resuming"
        raise InvalidInputError([Violation(str(checkpoints), message)])
    if not resume and any(checkpoints.glob("checkpoint-*")):
        message = "already holds checkpoints: resume from them, or train into another folder"
        raise InvalidInputError([Violation(str(checkpoints), message)])


def fit(
    model: CrossEncoder,
    lists: Sequence[ScoredList],
    out: Path,
    schedule: Schedule,
    mix: LossMix,
    *,
    development: Development | None = None,
    resume: bool = False,
) -> Path:
    """Trains `model` on `lists` in their order, once or for `schedule.steps`, and returns its folder, `out`/model.

    `out` also gets checkpoints, `log.jsonl` with one line for each logged step, and `curve.png` drawn of it. With
    `resume` training goes on from the last checkpoint there.
    """
    from sentence_transformers.cross_encoder import CrossEncoderTrainer, CrossEncoderTrainingArguments
    from transformers import set_seed

    from cascade.train.list_loss import MixedListLoss
    from cascade.train.order import in_given_order
    from cascade.train.progress import RerankingEvaluator, StepLog

    check_folder(out, resume=resume)
    out.mkdir(parents=True, exist_ok=True)
    set_seed(schedule.seed)
    arguments = CrossEncoderTrainingArguments(
        output_dir=str(out / CHECKPOINTS),
        num_train_epochs=1,
        max_steps=schedule.steps or -1,
        per_device_train_batch_size=schedule.lists_per_batch,
        learning_rate=schedule.learning_rate,
        learning_rate_mapping={r"gate$": schedule.gate_learning_rate, r"head\.": schedule.head_learning_rate},
        warmup_steps=schedule.warmup_share,
        lr_scheduler_type="linear",
        eval_strategy="no" if development is None else "steps",
        eval_steps=None if development is None else development.every_steps,
        save_strategy="steps",
        save_steps=schedule.checkpoint_steps,
        save_total_limit=3,
        logging_steps=10,
        use_cpu=True,
        dataloader_pin_memory=False,
        batch_sampler=in_given_order,
        seed=schedule.seed,
        data_seed=schedule.seed,
        report_to="none",
    )
    trainer = CrossEncoderTrainer(
        model=model,
        args=arguments,
        train_dataset=_dataset(lists),
        loss=MixedListLoss(model, mix, bf16=schedule.bf16),
        evaluator=None if development is None else RerankingEvaluator(development.load(), bf16=schedule.bf16),
        callbacks=[StepLog(out / LOG)],
    )
    trainer.train(resume_from_checkpoint=resume)
    model.save_pretrained(str(out / MODEL), create_model_card=False)
    _log.info("cross_encoder_trained", folder=str(out / MODEL), steps=trainer.state.global_step)
    return out / MODEL


def _dataset(lists: Sequence[ScoredList]) -> Any:
    from datasets import Dataset

    return Dataset.from_dict(
        {
            "query": [item.query for item in lists],
            "documents": [list(item.documents) for item in lists],
            "labels": [[list(item.labels), list(item.teacher or item.labels)] for item in lists],
        }
    )

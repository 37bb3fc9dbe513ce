"""The trainer of the joint head: one list is one forward pass, and training ends with its time."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from cascade.train.progress import StepLog

CLOCK = "clock.json"


class Clock(TrainerCallback):
    """Counts the seconds spent in training over all sessions and ends it when they reach the limit."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.spent_before = 0.0
        self._started = time.monotonic()

    def start(self) -> None:
        """Count from now, so that the preparation of data does not."""
        self._started = time.monotonic()

    def spent(self) -> float:
        """Seconds of training so far."""
        return self.spent_before + time.monotonic() - self._started

    def learning_rate_factor(self, step: int, warm_up_steps: int = 15) -> float:
        """Linear warm-up by steps, then linear decay by time, because a shared machine's speed is not known before."""
        return min(1.0, (step + 1) / warm_up_steps) * max(0.02, 1.0 - self.spent() / self.limit)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Called by the trainer."""
        if self.spent() >= self.limit:
            control.should_save = control.should_training_stop = True

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Called by the trainer."""
        checkpoint = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
        (checkpoint / CLOCK).write_text(json.dumps({"spent_s": self.spent()}), encoding="utf-8")


class JointTrainer(Trainer):
    """Cross-entropy of the targets and the softmax over cosines (ListNet); one list is one pass, unpadded."""

    def __init__(self, *, temperature: float, clock: Clock, **arguments: Any) -> None:
        super().__init__(**arguments, callbacks=[clock, StepLog(Path(str(arguments["args"].output_dir)) / "log.jsonl")])
        self._temperature = temperature
        self._clock = clock
        self._reciprocal_ranks: list[float] = []
        self._tokens = 0

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Called by the trainer."""
        query, passages = model(inputs["input_ids"], inputs["passage_positions"], inputs["query_position"])
        cosines = passages @ query
        targets = inputs["targets"]
        loss = nn.functional.cross_entropy(cosines / self._temperature, targets)
        rank = int((cosines > cosines[targets.argmax()]).sum()) + 1
        self._reciprocal_ranks.append(1 / rank)
        self._tokens += inputs["input_ids"].numel()
        return (loss, cosines) if return_outputs else loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Called by the trainer; adds the answers' mean reciprocal rank since the last call, tokens and seconds."""
        if "loss" in logs and self._reciprocal_ranks:
            logs["reciprocal_rank"] = sum(self._reciprocal_ranks) / len(self._reciprocal_ranks)
            logs["tokens"] = self._tokens
            logs["spent_s"] = self._clock.spent()
            self._reciprocal_ranks = []
        super().log(logs, start_time)

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Called by the trainer."""
        optimizer = self.optimizer if optimizer is None else optimizer
        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, self._clock.learning_rate_factor)
        return self.lr_scheduler

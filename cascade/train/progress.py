"""Shows how a training run is doing: a log of its steps, and the quality on a development set."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from sentence_transformers.base.evaluation import BaseEvaluator
from transformers import TrainerCallback

from cascade.train.curves import draw_curve
from cascade.train.development import DevelopmentSet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentence_transformers import CrossEncoder, MultiVectorEncoder
    from sentence_transformers.base.model import BaseModel


class StepLog(TrainerCallback):
    """Appends what the trainer logs to `path`, one JSON object a line, and in the end draws `curve.png` beside it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        """Called by the trainer."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": state.global_step, **(logs or {})}) + "\n")

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Called by the trainer."""
        if self._path.is_file():
            draw_curve(self._path, self._path.with_name("curve.png"))


class _HeadsEvaluator(BaseEvaluator, ABC):
    """Measures nDCG@10 after reranking BM25's heads of a development set with the model as it stands."""

    def __init__(self, development: DevelopmentSet, *, bf16: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # the base class has no annotations
        self.primary_metric = "ndcg_at_10"
        self._development = development
        self._bf16 = bf16

    def __call__(
        self, model: BaseModel, output_path: str | None = None, epoch: float = -1, steps: int = -1
    ) -> dict[str, float]:
        """Called by the trainer; the mean counts a question whose answer BM25 did not find as 0."""
        rankings = self._development.rerank(lambda pairs: self._score(model, pairs))
        values = self._development.ndcg(rankings).values()
        return {"ndcg_at_10": sum(values) / len(values)}

    @abstractmethod
    def _score(self, model: BaseModel, pairs: Sequence[tuple[str, str]]) -> Sequence[float]:
        """One score for each (query, passage)."""


class RerankingEvaluator(_HeadsEvaluator):
    """Of a cross-encoder."""

    def _score(self, model: BaseModel, pairs: Sequence[tuple[str, str]]) -> Sequence[float]:
        with torch.autocast("cpu", torch.bfloat16, enabled=self._bf16):
            scores = cast("CrossEncoder", model).predict(list(pairs), show_progress_bar=False)
            return [float(value) for value in scores]


class MultiVectorEvaluator(_HeadsEvaluator):
    """Of a multi-vector model; each query and each document is encoded once."""

    def _score(self, model: BaseModel, pairs: Sequence[tuple[str, str]]) -> Sequence[float]:
        encoder = cast("MultiVectorEncoder", model)
        queries, documents = (list(dict.fromkeys(side)) for side in zip(*pairs, strict=True))
        with torch.autocast("cpu", torch.bfloat16, enabled=self._bf16):
            asked = dict(zip(queries, encoder.encode_query(queries, show_progress_bar=False), strict=True))
            read = dict(zip(documents, encoder.encode_document(documents, show_progress_bar=False), strict=True))
        sides = [asked[query].float() for query, _ in pairs], [read[text].float() for _, text in pairs]
        return [float(value) for value in encoder.similarity_pairwise(*sides)]

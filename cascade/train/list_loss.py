"""Losses over a question's list of documents for cross-encoders, mixed from one forward pass without waste."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentence_transformers import CrossEncoder


@dataclass(frozen=True, slots=True)
class LossMix:
    """How much each loss counts.

    `label`: the cross-entropy of the labels' shares and the softmax of the scores (ListNet's top-one loss, Cao et al.
    2007). `kl`: the divergence of the scores' softmax from the teacher's, both at `temperature` (Hinton et al. 2015).
    `margin`: the squared error of the score differences, over all pairs of a list (Margin-MSE, Hofstaetter et al.).
    """

    label: float = 1.0
    kl: float = 0.0
    margin: float = 0.0
    temperature: float = 1.0

    def loss(self, scores: Tensor, labels: Tensor, teacher: Tensor) -> Tensor:
        """Of one list; all three have the shape [documents]."""
        loss = scores.new_zeros(())
        total = labels.sum()
        if self.label and total > 0:
            loss = loss - self.label * (labels / total * torch.log_softmax(scores, dim=0)).sum()
        if self.kl:
            mine, theirs = (torch.log_softmax(part / self.temperature, dim=0) for part in (scores, teacher))
            divergence = nn.functional.kl_div(mine, theirs, reduction="sum", log_target=True)
            loss = loss + self.kl * self.temperature**2 * divergence
        if self.margin and len(scores) > 1:
            # The mean over all pairs of the squared error of their difference is twice the variance of the error.
            loss = loss + self.margin * 2 * (scores - teacher).var()
        return loss


class MixedListLoss(nn.Module):
    """The mean of `mix` over a batch of lists.

    Each of the library's losses would run the model for itself. All pairs of a batch are sorted by length and run
    `pairs_per_pass` at a time, since on a CPU time follows tokens, padding included. With `bf16` the forward pass
    runs under autocast; the weights stay in fp32.
    """

    def __init__(self, model: CrossEncoder, mix: LossMix, *, pairs_per_pass: int = 16, bf16: bool = False) -> None:
        super().__init__()
        self.model = model
        self.mix = mix
        self.pairs_per_pass = pairs_per_pass
        self.bf16 = bf16

    def forward(
        self, inputs: tuple[Sequence[str], Sequence[Sequence[str]]], labels: Sequence[Tensor], **_: Any
    ) -> Tensor:
        """`inputs` are the queries and the documents of each; `labels` their labels and teacher's scores, [2, n]."""
        queries, documents = inputs
        pairs = [(query, text) for query, texts in zip(queries, documents, strict=True) for text in texts]
        order = sorted(range(len(pairs)), key=lambda index: sum(map(len, pairs[index])))
        passes = [order[i : i + self.pairs_per_pass] for i in range(0, len(order), self.pairs_per_pass)]
        scored = torch.cat([self._score([pairs[index] for index in chosen]) for chosen in passes])
        scores = scored[torch.argsort(torch.tensor(order))]
        lists = torch.split(scores, [target.shape[1] for target in labels])
        losses = [self.mix.loss(mine, *target.to(scores)) for mine, target in zip(lists, labels, strict=True)]
        return torch.stack(losses).mean()

    def _score(self, pairs: list[tuple[str, str]]) -> Tensor:
        features = self.model.preprocess(pairs)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            scores: Tensor = self.model(features)["scores"]
        return scores.view(-1).float()

    def get_config_dict(self) -> dict[str, Any]:
        """What the trainer writes down about the loss."""
        return {**asdict(self.mix), "pairs_per_pass": self.pairs_per_pass, "bf16": self.bf16}

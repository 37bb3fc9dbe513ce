"""A listwise loss for cross-encoders that wastes no work on padding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentence_transformers import CrossEncoder


class SoftListLoss(nn.Module):
    """Cross-entropy between the softmax of a list's scores and its targets, averaged over a batch of lists.

    With one-hot targets this is ListNet's top-one loss (Cao et al. 2007). All pairs of a batch are sorted by
    length and run `pairs_per_pass` at a time, since on a CPU time follows tokens, padding included. With
    `bf16` the forward pass runs under autocast; the weights stay in fp32.
    """

    def __init__(self, model: CrossEncoder, *, pairs_per_pass: int = 16, bf16: bool = False) -> None:
        super().__init__()
        self.model = model
        self.pairs_per_pass = pairs_per_pass
        self.bf16 = bf16

    def forward(
        self, inputs: tuple[Sequence[str], Sequence[Sequence[str]]], labels: Sequence[Tensor], **_: Any
    ) -> Tensor:
        """`inputs` are the queries and the documents of each; `labels` are the documents' targets."""
        queries, documents = inputs
        pairs = [(query, text) for query, texts in zip(queries, documents, strict=True) for text in texts]
        order = sorted(range(len(pairs)), key=lambda index: sum(map(len, pairs[index])))
        passes = [order[i : i + self.pairs_per_pass] for i in range(0, len(order), self.pairs_per_pass)]
        scored = torch.cat([self._score([pairs[index] for index in chosen]) for chosen in passes])
        scores = scored[torch.argsort(torch.tensor(order))]
        losses = [
            -(target.to(scores) * torch.log_softmax(mine, dim=0)).sum()
            for mine, target in zip(torch.split(scores, [len(target) for target in labels]), labels, strict=True)
        ]
        return torch.stack(losses).mean()

    def _score(self, pairs: list[tuple[str, str]]) -> Tensor:
        features = self.model.preprocess(pairs)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            scores: Tensor = self.model(features)["scores"]
        return scores.view(-1).float()

    def get_config_dict(self) -> dict[str, Any]:
        """What the trainer writes down about the loss."""
        return {"pairs_per_pass": self.pairs_per_pass, "bf16": self.bf16}

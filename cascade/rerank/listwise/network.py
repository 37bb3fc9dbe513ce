"""The joint kind's network: a causal language model, read at its markers through one small projector."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor, nn


class Projector(nn.Module):
    """Linear-ReLU-Linear, the same one for passages and queries; computes in float32."""

    def __init__(self, hidden_size: int, inner_size: int, out_size: int) -> None:
        super().__init__()
        self.enter = nn.Linear(hidden_size, inner_size)
        self.leave = nn.Linear(inner_size, out_size)

    def forward(self, hidden: Tensor) -> Tensor:
        """[n, hidden_size] -> [n, out_size], rows of length 1."""
        projected = self.leave(torch.relu(self.enter(hidden.float())))
        return nn.functional.normalize(projected, dim=-1)

    @torch.no_grad()
    def standardize(self, hidden: Tensor) -> None:
        """Fold mean and spread of sampled hidden states [n, hidden_size] into the first layer.

        A language model's hidden states share a few huge dimensions, so that untouched all cosines start near 1
        and nothing can be learned from them for a long while.
        """
        spread, mean = torch.std_mean(hidden.float(), dim=0)
        self.enter.weight.div_(spread.clamp_min(1e-3))
        self.enter.bias.sub_(self.enter.weight @ mean)


class JointNetwork(nn.Module):
    """Backbone and projector. Scores are cosines in [-1, 1]; one block is one context, never padded or shared."""

    def __init__(self, backbone: nn.Module, projector: Projector) -> None:
        super().__init__()
        self.backbone = backbone
        self.projector = projector

    def hidden(self, input_ids: Tensor, positions: Tensor) -> Tensor:
        """Hidden states [len(positions), hidden_size] of one context [length] at the marker positions."""
        states = self.backbone(input_ids=input_ids.unsqueeze(0), use_cache=False).last_hidden_state
        picked: Tensor = states[0, positions]
        return picked

    def forward(self, input_ids: Tensor, passage_positions: Tensor, query_position: Tensor) -> tuple[Tensor, Tensor]:
        """Unit vectors of one context: the query's [out_size] and the passages' [n, out_size]."""
        positions = torch.cat([passage_positions, query_position.reshape(1)])
        vectors = self.projector(self.hidden(input_ids, positions))
        return vectors[-1], vectors[:-1]


def load_backbone(source: str, *, layers: int | None, dtype: torch.dtype, attention: str = "sdpa") -> Any:
    """The decoder stack of any causal language model, without its head, cut to its first `layers` layers.

    `attention` is a name that the transformers library knows.
    """
    from transformers import AutoModel
    from transformers.utils import logging as transformers_logging

    if layers is None:
        return AutoModel.from_pretrained(source, dtype=dtype, attn_implementation=attention)
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity(logging.ERROR)  # it would list every weight of the layers that are left out
    try:
        return AutoModel.from_pretrained(source, dtype=dtype, attn_implementation=attention, num_hidden_layers=layers)
    finally:
        transformers_logging.set_verbosity(verbosity)

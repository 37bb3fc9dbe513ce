"""An encoder's embeddings and layers as one torch module, of whichever library's model."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from cascade.inference.towers.bert_weights import Affine, BertLayer, BertWeights, bert_weights

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from cascade.inference.pair_encoder import PairEncoder

_CLOSED = -1e4
"""Added to the logits of attention to padding."""


class Backbone(nn.Module, ABC):
    """Padded tokens in, the last layer's states out; in evaluation, and never trained.

    It can be traced: which operations run depends on no tensor's content.
    """

    hidden: int
    """Components of a state."""
    pad_id: int
    """The token id to pad with."""
    bert: BertWeights | None
    """Its weights, where it is built like BERT."""

    @abstractmethod
    def forward(self, ids: Tensor, positions: Tensor, types: Tensor, parts: Tensor) -> Tensor:
        """States [n, length, hidden] of int64 tensors [n, length]; `parts` -1 is padding, whose states mean nothing."""


class BertBackbone(Backbone):
    """Layers like BERT's, written out; the three projections of attention are one multiplication."""

    bert: BertWeights

    def __init__(self, weights: BertWeights, pad_id: int) -> None:
        super().__init__()
        self.hidden, self.pad_id = weights.hidden, pad_id
        self.eps, self.heads = weights.eps, weights.heads
        self.words = _constant(weights.words)
        self.positions = _constant(weights.positions)
        self.types = _constant(weights.types)
        self.norm = _linear(weights.norm)
        self.gate = None if weights.gate is None else _constant(weights.gate)
        self.layers = nn.ModuleList([_Layer(layer, weights) for layer in weights.layers])
        layers = tuple(cast("_Layer", layer).weights for layer in self.layers)
        self.bert = BertWeights(
            self.words.data,
            self.positions.data,
            self.types.data,
            weights.norm,
            weights.eps,
            weights.heads,
            weights.activation,
            layers,
            weights.gate,
        )
        self.eval()

    def forward(self, ids: Tensor, positions: Tensor, types: Tensor, parts: Tensor) -> Tensor:
        """As promised by `Backbone`."""
        embedded = functional.embedding(ids, self.words) + functional.embedding(positions, self.positions)
        embedded = embedded + functional.embedding(types, self.types)
        states = _normed(embedded, self.norm, self.eps)
        width = self.words.dtype
        closed = torch.where(parts[:, None, None, :] >= 0, 0.0, _CLOSED).to(width)
        across = None if self.gate is None else (parts[:, :, None] != parts[:, None, :])[:, None].to(width)
        for number, layer in enumerate(self.layers):
            bias = closed
            if across is not None and self.gate is not None:
                bias = torch.addcmul(closed, across, self.gate[number][None, :, None, None].to(width))
            states = layer(states, bias)
        return states


class _Layer(nn.Module):
    def __init__(self, layer: BertLayer, weights: BertWeights) -> None:
        super().__init__()
        self.eps, self.heads, self.activation = weights.eps, weights.heads, weights.activation
        read = (layer.query, layer.key, layer.value)
        self.read = _linear(Affine(torch.cat([one.weight for one in read]), torch.cat([one.bias for one in read])))
        self.out = _linear(layer.out)
        self.attention_norm = _linear(layer.attention_norm)
        self.up = _linear(layer.up)
        self.down = _linear(layer.down)
        self.output_norm = _linear(layer.output_norm)

    @property
    def weights(self) -> BertLayer:
        """The same numbers, in the same memory."""
        read = [
            Affine(weight, bias)
            for weight, bias in zip(self.read["weight"].data.chunk(3), self.read["bias"].data.chunk(3), strict=True)
        ]
        rest = (self.out, self.attention_norm, self.up, self.down, self.output_norm)
        return BertLayer(*read, *(Affine(one["weight"].data, one["bias"].data) for one in rest))

    def forward(self, states: Tensor, bias: Tensor) -> Tensor:
        count, length, hidden = states.shape
        parts = _times(states, self.read).view(count, length, 3, self.heads, hidden // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        read = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        read = read.transpose(1, 2).reshape(count, length, hidden)
        states = _normed(states + _times(read, self.out), self.attention_norm, self.eps)
        wide = _times(states, self.up)
        if self.activation == "relu":
            wide = functional.relu(wide)
        else:
            wide = functional.gelu(wide, approximate="tanh" if self.activation == "gelu_tanh" else "none")
        return _normed(states + _times(wide, self.down), self.output_norm, self.eps)


class LibraryBackbone(Backbone):
    """Any other encoder of transformers, by its own forward; positions are counted by itself, parts it knows none."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        config: Any = model.config
        self.model = model
        self.hidden = int(config.hidden_size)
        self.pad_id = int(getattr(config, "pad_token_id", None) or 0)
        self.bert = None
        self._typed = "token_type_ids" in inspect.signature(model.forward).parameters
        self.eval()

    def forward(self, ids: Tensor, positions: Tensor, types: Tensor, parts: Tensor) -> Tensor:
        """As promised by `Backbone`."""
        given: dict[str, Tensor] = {"token_type_ids": types} if self._typed else {}
        model = cast("Any", self.model)
        return cast("Tensor", model(input_ids=ids, attention_mask=(parts >= 0).long(), **given)[0])


def backbone_of(model: PreTrainedModel) -> Backbone:
    """The encoder of a bi-encoder or multi-vector model, or the base of one that classifies."""
    weights = bert_weights(model)
    config: Any = model.config
    return LibraryBackbone(model) if weights is None else BertBackbone(weights, int(config.pad_token_id or 0))


def backbone_of_pairs(module: PairEncoder) -> BertBackbone:
    """The layers of a pair encoder, with its gate."""
    weights = bert_weights(module.bert, module.gate)
    if weights is None:
        raise TypeError(f"found layers of {type(module.bert).__name__} that are not plain, expected those of a BERT")
    return BertBackbone(weights, int(module.bert.config.pad_token_id or 0))


def _constant(tensor: Tensor) -> nn.Parameter:
    return nn.Parameter(tensor, requires_grad=False)


def _linear(affine: Affine) -> nn.ParameterDict:
    return nn.ParameterDict({"weight": _constant(affine.weight), "bias": _constant(affine.bias)})


def _times(states: Tensor, affine: nn.ParameterDict) -> Tensor:
    return functional.linear(states, affine["weight"], affine["bias"])


def _normed(states: Tensor, affine: nn.ParameterDict, eps: float) -> Tensor:
    width = int(affine["weight"].shape[0])  # a plain number, which a trace keeps as it is
    return functional.layer_norm(states, (width,), affine["weight"], affine["bias"], eps)

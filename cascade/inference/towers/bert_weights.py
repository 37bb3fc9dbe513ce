"""The weights of an encoder built like BERT, whatever its library calls them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Activation = Literal["gelu", "gelu_tanh", "relu"]
"""`gelu` is the exact one, by the error function; `gelu_tanh` its approximation."""

_ACTIVATIONS: dict[str, Activation] = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
}
_PLAIN = (nn.Linear, nn.Embedding, nn.LayerNorm)
_AFTER_PADDING = ("roberta", "xlm-roberta", "camembert")
"""Architectures whose first position is the one after that of padding."""


@dataclass(frozen=True, eq=False, slots=True)
class Affine:
    """`x W^T + b`, or the scale and shift of a LayerNorm: float32 weight [out, in] or [hidden], bias [out]."""

    weight: Tensor
    bias: Tensor


@dataclass(frozen=True, eq=False, slots=True)
class BertLayer:
    """states = attention_norm(states + out(attention)); states = output_norm(states + down(activation(up(states))))."""

    query: Affine
    key: Affine
    value: Affine
    out: Affine
    attention_norm: Affine
    up: Affine
    down: Affine
    output_norm: Affine


@dataclass(frozen=True, eq=False, slots=True)
class BertWeights:
    """All of float32, without gradient; positions count from 0 for every architecture."""

    words: Tensor
    """[vocabulary, hidden]"""
    positions: Tensor
    """[most tokens, hidden]"""
    types: Tensor
    """[types, hidden]"""
    norm: Affine
    """The LayerNorm after the sum of the three embeddings."""
    eps: float
    """Of every LayerNorm."""
    heads: int
    activation: Activation
    layers: tuple[BertLayer, ...]
    gate: Tensor | None
    """Added to the logits of attention between two parts [layers, heads]; None where nothing is added."""

    @property
    def hidden(self) -> int:
        """Components of a state."""
        return self.words.shape[1]


def bert_weights(model: PreTrainedModel, gate: Tensor | None = None) -> BertWeights | None:
    """Those of BERT, RoBERTa, XLM-R, CamemBERT and DistilBERT; None for what is built in another way."""
    config: Any = model.config
    read = {"bert": _bert_layer, "distilbert": _distilbert_layer, **dict.fromkeys(_AFTER_PADDING, _bert_layer)}
    name = str(config.model_type)
    small = name == "distilbert"
    usual = getattr(config, "position_embedding_type", "absolute") in ("absolute", None)
    if name not in read or not usual or getattr(config, "is_decoder", False):
        return None
    activation = _ACTIVATIONS.get(str(config.activation if small else config.hidden_act))
    if activation is None:
        return None
    if any(type(one) not in _PLAIN for one in _with_parameters(model)):
        return None  # adapters, or layers that were quantised
    body: Any = model
    embeddings = body.embeddings
    layers = body.transformer.layer if small else body.encoder.layer
    words = _plain(embeddings.word_embeddings.weight)
    positions = _plain(embeddings.position_embeddings.weight)
    if name in _AFTER_PADDING:
        positions = positions[int(config.pad_token_id) + 1 :]
    return BertWeights(
        words,
        positions,
        torch.zeros(1, words.shape[1]) if small else _plain(embeddings.token_type_embeddings.weight),
        _affine(embeddings.LayerNorm),
        float(embeddings.LayerNorm.eps),
        int(config.num_attention_heads),
        activation,
        tuple(read[name](layer) for layer in layers),
        None if gate is None else _plain(gate),
    )


def _bert_layer(layer: Any) -> BertLayer:
    attention = layer.attention
    return BertLayer(
        _affine(attention.self.query),
        _affine(attention.self.key),
        _affine(attention.self.value),
        _affine(attention.output.dense),
        _affine(attention.output.LayerNorm),
        _affine(layer.intermediate.dense),
        _affine(layer.output.dense),
        _affine(layer.output.LayerNorm),
    )


def _distilbert_layer(layer: Any) -> BertLayer:
    attention, feed_forward = layer.attention, layer.ffn
    return BertLayer(
        _affine(attention.q_lin),
        _affine(attention.k_lin),
        _affine(attention.v_lin),
        _affine(attention.out_lin),
        _affine(layer.sa_layer_norm),
        _affine(feed_forward.lin1),
        _affine(feed_forward.lin2),
        _affine(layer.output_layer_norm),
    )


def _with_parameters(model: nn.Module) -> list[nn.Module]:
    """The modules that have parameters of their own."""
    return [one for one in model.modules() if next(one.parameters(recurse=False), None) is not None]


def _affine(module: Any) -> Affine:
    return Affine(_plain(module.weight), _plain(module.bias))


def _plain(parameter: Tensor) -> Tensor:
    return parameter.detach().float()

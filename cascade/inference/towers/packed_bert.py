"""BERT's layers over sequences end to end: only attention is done in padded groups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cascade.inference.towers.bert_weights import Affine, BertLayer, BertWeights
from cascade.inference.towers.padded import padded_batches
from cascade.inference.towers.strip import Ints, Strip

Times = Callable[[Tensor], Tensor]
"""A multiplication by a layer's weights."""

STEP = 16
"""Rows of a multiplication are a multiple of this: for each number of them that it sees, the library makes and keeps
code of its own. Of every number up to 512 that was 900 MB, and a fifth of the time went into making it again."""
_CLOSED = -1e4
"""Added to the logits of attention to padding."""


@dataclass(frozen=True, eq=False, slots=True)
class _Group:
    """Sequences of similar length that attend together [n, length]."""

    places: Tensor
    """In the strip [n * length]; at padding that of the strip's first token."""
    closed: Tensor
    """[n, 1, 1, length]"""
    across: Tensor | None
    """[n, 1, length, length]; 1 between the two parts of a sequence."""

    def bias(self, gate: Tensor | None) -> Tensor:
        """What is added to the logits of a layer."""
        if gate is None or self.across is None:
            return self.closed
        return torch.addcmul(self.closed, self.across, gate[None, :, None, None])


class PackedBert:
    """Weights in the number format that they are multiplied in; sums and LayerNorms are of float32."""

    def __init__(self, weights: BertWeights, dtype: torch.dtype) -> None:
        self._weights = weights
        self._dtype = dtype
        self.layers = [_Layer(layer, dtype) for layer in weights.layers]
        self._gate = None if weights.gate is None else weights.gate.to(dtype)

    def states(self, strip: Strip) -> Tensor:
        """float32 [tokens, hidden], of the tokens that are asked for."""
        weights = self._weights
        states = weights.words[_filled(strip.ids)]
        states = states + weights.positions[_filled(strip.positions)]
        states = _normed(states + weights.types[_filled(strip.types)], weights.norm, weights.eps)
        groups, back, firsts = self._groups(strip)
        for number, layer in enumerate(self.layers):
            gate = None if self._gate is None else self._gate[number]
            read_states = layer.read(states.to(self._dtype))
            if strip.only_first and layer is self.layers[-1]:
                read = self._attention(read_states, groups, firsts, gate, most=1)
                states = states[_filled(strip.starts[:-1])]
            else:
                read = self._attention(read_states, groups, back, gate)
            states = _normed(states + layer.out(read), layer.attention_norm, weights.eps)
            wide = layer.up(states.to(self._dtype))
            if weights.activation == "relu":
                wide = functional.relu(wide)
            else:
                wide = functional.gelu(wide, approximate="tanh" if weights.activation == "gelu_tanh" else "none")
            states = _normed(states + layer.down(wide), layer.output_norm, weights.eps)
        return states[: strip.shown[-1]]

    def _groups(self, strip: Strip) -> tuple[list[_Group], Tensor, Tensor]:
        """The groups; where in all of them, one after the other, each of the strip's tokens is; and, where they hold
        first tokens alone, each sequence's."""
        found: list[_Group] = []
        begins: list[Ints] = []
        back = np.empty(len(strip.ids), dtype=np.int64)
        offset = 0
        for batch in padded_batches(strip, pad_id=0):
            real, parts = torch.from_numpy(batch.real), torch.from_numpy(batch.parts)
            places = np.zeros(batch.ids.shape, dtype=np.int64)
            places[batch.real] = batch.tokens
            begins.append(places[:, 0])
            back[batch.tokens] = np.flatnonzero(batch.real) + offset
            offset += places.size
            closed = torch.where(real, 0.0, _CLOSED)[:, None, None, :].to(self._dtype)
            across = None
            if self._gate is not None:
                across = (parts[:, :, None] != parts[:, None, :])[:, None].to(self._dtype)
            found.append(_Group(torch.from_numpy(places).flatten(), closed, across))
        return found, _filled(back), _filled(np.argsort(np.concatenate(begins)))

    def _attention(
        self, read: Tensor, groups: list[_Group], back: Tensor, gate: Tensor | None, *, most: int | None = None
    ) -> Tensor:
        """[tokens, hidden] of queries, keys and values [tokens, 3 hidden]; of each sequence its first `most` tokens."""
        heads = self._weights.heads
        hidden = read.shape[1] // 3
        found = []
        for group in groups:
            count, length = group.closed.shape[0], group.closed.shape[3]
            parts = read.index_select(0, group.places).view(count, length, 3, heads, hidden // heads)
            query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
            bias = group.bias(gate)[:, :, :most]
            seen = functional.scaled_dot_product_attention(query[:, :, :most], key, value, attn_mask=bias)
            found.append(seen.transpose(1, 2).reshape(-1, hidden))
        return torch.cat(found).index_select(0, back)


def _filled(places: Ints) -> Tensor:
    """With the last one repeated up to a multiple of the step; nobody looks at what is computed of those."""
    return torch.from_numpy(np.append(places, np.repeat(places[-1], -len(places) % STEP)))


class _Layer:
    def __init__(self, layer: BertLayer, dtype: torch.dtype) -> None:
        read = (layer.query, layer.key, layer.value)
        self.read: Times = _Times(
            Affine(torch.cat([one.weight for one in read]), torch.cat([one.bias for one in read])), dtype
        )
        self.up: Times = _Times(layer.up, dtype)
        self.out, self.down = _Times(layer.out, dtype), _Times(layer.down, dtype)
        self.attention_norm, self.output_norm = layer.attention_norm, layer.output_norm


class _Times:
    def __init__(self, affine: Affine, dtype: torch.dtype) -> None:
        self._weight, self._bias = affine.weight.to(dtype), affine.bias.to(dtype)

    def __call__(self, states: Tensor) -> Tensor:
        return functional.linear(states, self._weight, self._bias)


def _normed(states: Tensor, affine: Affine, eps: float) -> Tensor:
    return functional.layer_norm(states, states.shape[-1:], affine.weight, affine.bias, eps)

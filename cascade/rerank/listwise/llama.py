"""The layers of Llama and its like, run by torch over packed spans with no more than what is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear, rms_norm, silu

from cascade.inference.towers.tower import BackendName
from cascade.rerank.listwise.span import Pass, Span


class LlamaDecoder:
    """The same numbers as the library's stack to rounding: residuals stay in float32, and the last layer computes only
    what is wanted of it. Shares the stack's weights: queries, keys and values lie in one matrix, gate and up in one."""

    @staticmethod
    def runs(stack: Any) -> bool:
        """Whether this stack is one that it knows."""
        return type(stack).__name__ == "LlamaModel" and stack.config.hidden_act == "silu"

    def __init__(self, stack: Any) -> None:
        self.backend: BackendName = torch_backend(stack)
        self._stack = stack
        self._layers = [_Layer(layer) for layer in stack.layers]

    def read(self, spans: Sequence[Span]) -> list[Tensor]:
        """Of each span the last layer's states [wanted, hidden_size], as its model's head would read them."""
        stack = self._stack
        whole = Pass(spans, stack.embed_tokens.weight.device)
        embedded = stack.embed_tokens(whole.ids)
        cos, sin = (part[0] for part in stack.rotary_emb(embedded, position_ids=whole.positions.unsqueeze(0)))
        states = embedded.float()
        for number, layer in enumerate(self._layers):
            states = layer.read(number, states, cos, sin, whole, last=number + 1 == len(self._layers))
        whole.remember()
        normed = _normed(states, stack.norm).to(embedded.dtype)
        return list(torch.split(normed, [len(one.wanted) for one in spans]))


def torch_backend(stack: Any) -> BackendName:
    """What torch runs this stack as."""
    return "torch-bf16" if next(stack.parameters()).dtype is torch.bfloat16 else "torch-fp32"


class _Layer:
    """One layer of a stack."""

    def __init__(self, layer: Any) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self._before, self._between = layer.input_layernorm, layer.post_attention_layernorm
        self._qkv = _together(attention.q_proj, attention.k_proj, attention.v_proj)
        self._out, self._down = attention.o_proj, mlp.down_proj
        self._gate_up = _together(mlp.gate_proj, mlp.up_proj)
        self._size = int(attention.head_dim)
        self._queries = attention.q_proj.weight.shape[0]
        self._keys = attention.k_proj.weight.shape[0]
        self._scale = float(attention.scaling)

    def read(self, number: int, states: Tensor, cos: Tensor, sin: Tensor, whole: Pass, *, last: bool) -> Tensor:
        """float32 [tokens, hidden], or of the last layer [wanted, hidden]."""
        weight, bias = self._qkv
        normed = _normed(states, self._before).to(weight.dtype)
        both = linear(normed, weight, bias)
        query, key, value = (
            part.view(len(part), -1, self._size).transpose(0, 1)
            for part in torch.split(both, [self._queries, self._keys, self._keys], dim=1)
        )
        if last:
            query, states = query[:, whole.wanted], states[whole.wanted]
            query = _turned(query, cos[whole.wanted], sin[whole.wanted])
        else:
            query = _turned(query, cos, sin)
        found = whole.attend(number, query, _turned(key, cos, sin), value, self._scale, wanted=last)
        states = states + self._out(found.transpose(0, 1).reshape(len(states), self._queries))
        weight, bias = self._gate_up
        gate, up = linear(_normed(states, self._between).to(weight.dtype), weight, bias).chunk(2, dim=1)
        return states.add_(self._down(silu(gate).mul_(up)))


def _normed(states: Tensor, norm: Any) -> Tensor:
    return rms_norm(states, (states.shape[1],), norm.weight.float(), norm.variance_epsilon)


def _turned(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions (Su et al., 2021), for [heads, rows, size]."""
    half = states.shape[-1] // 2
    turned = torch.cat((-states[..., half:], states[..., :half]), dim=-1)
    return states * cos + turned * sin


def _together(*maps: Any) -> tuple[Tensor, Tensor | None]:
    """Weights and biases of linear maps of one input, in one matrix that the maps share from now on."""
    weight = torch.cat([one.weight.data for one in maps])
    start = 0
    for one in maps:
        one.weight.data = weight[start : (start := start + len(one.weight))]
    biases = [one.bias for one in maps]
    return weight, None if biases[0] is None else torch.cat([one.data for one in biases])

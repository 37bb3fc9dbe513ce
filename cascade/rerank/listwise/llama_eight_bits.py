"""The layers of Llama and its like in eight bits, over packed spans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import rms_norm

from cascade.inference.towers.native.weights import floats
from cascade.inference.towers.tower import BackendName
from cascade.rerank.listwise import llama_kernels as kernels
from cascade.rerank.listwise.span import Pass, Span

Floats = npt.NDArray[np.float32]
Multiplied = tuple[npt.NDArray[np.int32], Floats, Floats]
"""Sums, and the scales of the tokens and of the outputs."""

_MOST = 127.0
_PART = 128
"""Tokens of a kernel's part below which a thread of its own costs more than it saves."""


class EightBitLlama:
    """Weights are rounded to eight bits once, by output, and what they multiply at every turn, by token, as in the
    native tower; attention is in bfloat16, residuals in float32. The stack's own weights are given up."""

    backend: BackendName = "native-int8"

    def __init__(self, stack: Any, *, threads: int) -> None:
        self._embed = stack.embed_tokens
        self._rotary = stack.rotary_emb
        self._norm, self._eps = stack.norm.weight.detach().float(), float(stack.norm.variance_epsilon)
        self._layers = []
        while len(stack.layers):  # so that no more than one layer is held twice
            self._layers.append(_Layer(stack.layers[0], threads))
            del stack.layers[0]

    def read(self, spans: Sequence[Span]) -> list[Tensor]:
        """Of each span the last layer's states [wanted, hidden_size], as its model's head would read them."""
        whole = Pass(spans, self._embed.weight.device)
        embedded = self._embed(whole.ids)
        turns = tuple(
            part[0].float().numpy() for part in self._rotary(embedded.float(), position_ids=whole.positions[None])
        )
        states = embedded.float().numpy()
        for number, layer in enumerate(self._layers):
            states = layer.read(number, states, turns, whole, last=number + 1 == len(self._layers))
        whole.remember()
        found = torch.from_numpy(states)
        normed = rms_norm(found, found.shape[1:], self._norm, self._eps).to(embedded.dtype)
        return list(torch.split(normed, [len(one.wanted) for one in spans]))


class _Rounded:
    """Linear maps of one input, side by side, in int8 [in, out] and the scales of the outputs."""

    def __init__(self, *maps: Any) -> None:
        weight = torch.cat([one.weight.detach().float() for one in maps])
        largest = weight.abs().amax(dim=1)
        scales = torch.where(largest == 0, 1.0, largest / _MOST)
        self.weight = (weight / scales[:, None]).round().to(torch.int8).t().contiguous()
        self.scales = floats(scales)

    def of(self, given: Tensor, scales: Floats) -> Multiplied:
        """What int8 `given` [tokens, in] of these `scales` is multiplied to."""
        return torch._int_mm(given, self.weight).numpy(), scales, self.scales


class _Layer:
    """One layer of a stack."""

    def __init__(self, layer: Any, threads: int) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self._threads = threads
        self._qkv = _Rounded(attention.q_proj, attention.k_proj, attention.v_proj)
        self._out = _Rounded(attention.o_proj)
        self._gate_up = _Rounded(mlp.gate_proj, mlp.up_proj)
        self._down = _Rounded(mlp.down_proj)
        self._before, self._between = (
            floats(layer.input_layernorm.weight),
            floats(layer.post_attention_layernorm.weight),
        )
        self._eps = np.float32(layer.input_layernorm.variance_epsilon)
        self._size = int(attention.head_dim)
        self._heads = attention.q_proj.weight.shape[0] // self._size
        self._groups = attention.k_proj.weight.shape[0] // self._size
        self._scale = np.float32(attention.scaling)

    def read(self, number: int, states: Floats, turns: tuple[Floats, ...], whole: Pass, *, last: bool) -> Floats:
        """float32 [tokens, hidden], or of the last layer [wanted, hidden]; `states` may be written to."""
        sums, scales, of_outputs = self._qkv.of(*self._normalised(states, self._before))
        query, key, value = (self._room(n, len(sums)) for n in (self._heads, self._groups, self._groups))
        cos, sin = turns
        keys, values = self._heads * self._size, (self._heads + self._groups) * self._size

        def turn(a: int, b: int) -> None:
            part = sums[a:b], scales[a:b], of_outputs
            kernels.turn(*part, cos[a:b], sin[a:b], 0, self._scale, _bits(query)[:, a:b])
            kernels.turn(*part, cos[a:b], sin[a:b], keys, np.float32(1), _bits(key)[:, a:b])
            kernels.spread(*part, values, _bits(value)[:, a:b])

        self._parts(len(sums), turn)
        if last:
            query, states = query[:, whole.wanted], states[whole.wanted.numpy()]
        found = whole.attend(number, query, key, value, 1.0, wanted=last).contiguous()
        self._add(self._out.of(*self._gathered(found)), states)
        self._add(self._down.of(*self._gated(self._gate_up.of(*self._normalised(states, self._between)))), states)
        return states

    def _normalised(self, states: Floats, weight: Floats) -> tuple[Tensor, Floats]:
        def work(a: int, b: int, row: Floats, out: Any, scales: Floats) -> None:
            kernels.normalise(states[a:b], weight, self._eps, row, out, scales)

        return self._rounded(len(states), states.shape[1], work)

    def _gathered(self, found: Tensor) -> tuple[Tensor, Floats]:
        bits = _bits(found)

        def work(a: int, b: int, row: Floats, out: Any, scales: Floats) -> None:
            kernels.gather(bits[:, a:b], row, out, scales)

        return self._rounded(found.shape[1], self._heads * self._size, work)

    def _gated(self, multiplied: Multiplied) -> tuple[Tensor, Floats]:
        sums, scales, of_outputs = multiplied

        def work(a: int, b: int, row: Floats, out: Any, out_scales: Floats) -> None:
            kernels.gate(sums[a:b], scales[a:b], of_outputs, row, out, out_scales)

        return self._rounded(len(sums), sums.shape[1] // 2, work)

    def _add(self, multiplied: Multiplied, states: Floats) -> None:
        sums, scales, of_outputs = multiplied
        self._parts(len(sums), lambda a, b: kernels.add(sums[a:b], scales[a:b], of_outputs, states[a:b]))

    def _rounded(
        self, tokens: int, width: int, work: Callable[[int, int, Floats, Any, Floats], None]
    ) -> tuple[Tensor, Floats]:
        out = torch.empty(tokens, width, dtype=torch.int8)
        scales = np.empty(tokens, dtype=np.float32)
        rows = out.numpy()
        self._parts(tokens, lambda a, b: work(a, b, np.empty(width, dtype=np.float32), rows[a:b], scales[a:b]))
        return out, scales

    def _room(self, heads: int, tokens: int) -> Tensor:
        return torch.empty(heads, tokens, self._size, dtype=torch.bfloat16)

    def _parts(self, tokens: int, work: Callable[[int, int], None]) -> None:
        """`work` on all tokens, in as many threads as it is worth."""
        count = max(1, min(self._threads, tokens // _PART))
        if count == 1:
            work(0, tokens)
            return
        ends = [tokens * part // count for part in range(count + 1)]
        for _ in _pool(self._threads).map(work, ends[:-1], ends[1:]):
            pass


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """The threads of the kernels of all language models, of which one works at a time."""
    return ThreadPoolExecutor(threads, thread_name_prefix="language model")


def _bits(states: Tensor) -> npt.NDArray[np.uint16]:
    return states.view(torch.uint16).numpy()

"""The layers of Llama and its like on a processor, in bfloat16 or in eight bits, over packed spans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import linear, rms_norm

from cascade.inference.towers.native.weights import floats
from cascade.inference.towers.packed_bert import STEP
from cascade.inference.towers.padded import up
from cascade.inference.towers.tower import BackendName
from cascade.rerank.listwise import llama_kernels as kernels
from cascade.rerank.listwise.span import Pass, Span
from cascade.rerank.listwise.spread import run_of, spread

Floats = npt.NDArray[np.float32]
Given = tuple[Tensor, Floats | None, int]
"""What is multiplied, [tokens, in]: int8 and the scales of the tokens, or bfloat16 and None; and how many tokens."""
Found = tuple[npt.NDArray[Any], Floats | None, Floats | None]
"""What that gives, [tokens, out]: int32 and the scales of the tokens and of the outputs, or bfloat16 bits and None."""

_MOST = 127.0
_PART = 128
"""Tokens of a kernel's part below which a thread of its own costs more than it saves."""


class NativeLlama:
    """What torch does in many passes over the tokens is done in one; residuals are float32, attention bfloat16.

    In eight bits, weights are rounded once, by output, and what they multiply at every turn, by token, as in the native
    tower, both spread before (`spread.py`); the stack's own layers are given up. In bfloat16 its weights are shared.
    """

    def __init__(self, stack: Any, *, threads: int, eight_bits: bool) -> None:
        self.backend: BackendName = "native-int8" if eight_bits else "torch-bf16"
        self._embed, self._rotary = stack.embed_tokens, stack.rotary_emb
        self._norm, self._eps = stack.norm.weight.detach().float(), float(stack.norm.variance_epsilon)
        self._layers: list[_Layer] = []
        layers = list(stack.layers)
        for number, layer in enumerate(layers):
            self._layers.append(_Layer(layer, threads, _EightBits if eight_bits else _Brain))
            if eight_bits:  # so that no more than one layer is held twice
                layers[number] = None
                del layer, stack.layers[0]

    @staticmethod
    def runs(stack: Any) -> bool:
        """Whether this stack is Llama's, without biases, in bfloat16 or to be rounded, on a processor."""
        if type(stack).__name__ != "LlamaModel" or stack.config.hidden_act != "silu":
            return False
        biased = stack.config.attention_bias or stack.config.mlp_bias
        return not biased and stack.embed_tokens.weight.device.type == "cpu"

    def read(self, spans: Sequence[Span]) -> list[Tensor]:
        """Of each span the last layer's states [wanted, hidden_size], as its model's head would read them."""
        whole = Pass(spans, self._embed.weight.device)
        embedded = self._embed(whole.ids)
        states = embedded.float().numpy()
        turned = self._rotary(embedded.float(), position_ids=whole.positions.unsqueeze(0))
        cos, sin = (part[0].numpy() for part in turned)
        for number, layer in enumerate(self._layers):
            states = layer.read(number, states, cos, sin, whole, last=number + 1 == len(self._layers))
        whole.remember()
        found = torch.from_numpy(states)
        normed = rms_norm(found, found.shape[1:], self._norm, self._eps).to(embedded.dtype)
        return list(torch.split(normed, [len(one.wanted) for one in spans]))


class _EightBits:
    """Linear maps of one input that was spread, side by side, as int8 [in, out] and the scales of the outputs."""

    def __init__(self, *maps: Any) -> None:
        weight = torch.cat([spread(one.weight) for one in maps])
        largest = weight.abs().amax(dim=1)
        scales = torch.where(largest == 0, 1.0, largest / _MOST)
        self._weight = (weight / scales[:, None]).round().to(torch.int8).t().contiguous()
        self._scales = floats(scales)

    @staticmethod
    def room(tokens: int, width: int) -> tuple[Tensor, npt.NDArray[Any], Floats | None]:
        """For what is multiplied next: as it is multiplied, as it is written, and scales."""
        room = torch.empty(tokens, width, dtype=torch.int8)
        return room, room.numpy(), np.empty(tokens, dtype=np.float32)

    def of(self, given: Tensor, scales: Floats | None, tokens: int) -> Found:
        """What `given`, of so many tokens, is multiplied to."""
        return torch._int_mm(given, self._weight).numpy(), scales, self._scales


class _Brain:
    """Linear maps of one input, side by side in one matrix of bfloat16, which the maps share from now on."""

    def __init__(self, *maps: Any) -> None:
        self._weight = torch.cat([one.weight.data for one in maps]) if len(maps) > 1 else maps[0].weight.data
        start = 0
        for one in maps:
            one.weight.data = self._weight[start : (start := start + len(one.weight))]

    @staticmethod
    def room(tokens: int, width: int) -> tuple[Tensor, npt.NDArray[Any], Floats | None]:
        """For what is multiplied next: as it is multiplied, as it is written, and no scales.

        Rows beyond a step are a multiple of it, as in `packed_bert`: the library keeps code for every number of them.
        """
        room = torch.empty(tokens if tokens < STEP else up(tokens, STEP), width, dtype=torch.bfloat16)
        return room, _bits(room[:tokens]), None

    def of(self, given: Tensor, scales: Floats | None, tokens: int) -> Found:
        """What the `tokens` first rows of `given` are multiplied to."""
        return _bits(linear(given, self._weight)[:tokens]), None, None


class _Layer:
    """One layer of a stack."""

    def __init__(self, layer: Any, threads: int, maps: type[_EightBits] | type[_Brain]) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self._threads, self._maps = threads, maps
        self._qkv, self._out = maps(attention.q_proj, attention.k_proj, attention.v_proj), maps(attention.o_proj)
        self._gate_up, self._down = maps(mlp.gate_proj, mlp.up_proj), maps(mlp.down_proj)
        before, between = layer.input_layernorm, layer.post_attention_layernorm
        self._before, self._between = floats(before.weight), floats(between.weight)
        self._eps = np.float32(before.variance_epsilon)
        self._size = int(attention.head_dim)
        self._heads = attention.q_proj.weight.shape[0] // self._size
        self._groups = attention.k_proj.weight.shape[0] // self._size
        self._scale = np.float32(attention.scaling)

    def read(self, number: int, states: Floats, cos: Floats, sin: Floats, whole: Pass, *, last: bool) -> Floats:
        """float32 [tokens, hidden], or of the last layer [wanted, hidden]; `states` is written to."""
        found, scales, of_outputs = self._qkv.of(*self._normalised(states, self._before))
        heads = (self._heads, self._groups, self._groups)
        query, key, value = (torch.empty(n, len(found), self._size, dtype=torch.bfloat16) for n in heads)
        keys, values = self._heads * self._size, (self._heads + self._groups) * self._size
        one = np.float32(1)

        def turn(a: int, b: int) -> None:
            part = found[a:b], None if scales is None else scales[a:b], of_outputs
            kernels.turn(*part, cos[a:b], sin[a:b], 0, self._scale, a, _bits(query))
            kernels.turn(*part, cos[a:b], sin[a:b], keys, one, a, _bits(key))
            kernels.turn(*part, None, None, values, one, a, _bits(value))

        self._parts(len(found), turn)
        if last:
            query, states = query[:, whole.wanted], states[whole.wanted.numpy()]
        heard = whole.attend(number, query, key, value, 1.0, wanted=last).contiguous()
        self._add(self._out.of(*self._gathered(heard)), states)
        self._add(self._down.of(*self._gated(self._gate_up.of(*self._normalised(states, self._between)))), states)
        return states

    def _normalised(self, states: Floats, weight: Floats) -> Given:
        return self._written(
            len(states),
            states.shape[1],
            lambda a, b, *room: kernels.normalise(states[a:b], weight, self._eps, *room),
        )

    def _gathered(self, heard: Tensor) -> Given:
        bits = _bits(heard)
        return self._written(
            heard.shape[1],
            self._heads * self._size,
            lambda a, b, *room: kernels.gather(bits, a, *room),
        )

    def _gated(self, multiplied: Found) -> Given:
        found, scales, of_outputs = multiplied

        def work(a: int, b: int, *room: Any) -> None:
            kernels.gate(found[a:b], None if scales is None else scales[a:b], of_outputs, *room)

        return self._written(len(found), found.shape[1] // 2, work)

    def _add(self, multiplied: Found, states: Floats) -> None:
        found, scales, of_outputs = multiplied

        def work(a: int, b: int) -> None:
            kernels.add(found[a:b], None if scales is None else scales[a:b], of_outputs, states[a:b])

        self._parts(len(found), work)

    def _written(
        self, tokens: int, width: int, work: Callable[[int, int, int, Floats, npt.NDArray[Any], Floats | None], None]
    ) -> Given:
        """What `work` writes of all tokens, given which, a run, room for one of them, and where to write."""
        run = run_of(width)
        room, rows, scales = self._maps.room(tokens, width)

        def part(a: int, b: int) -> None:
            work(a, b, run, np.empty(width, dtype=np.float32), rows[a:b], None if scales is None else scales[a:b])

        self._parts(tokens, part)
        return room, scales, tokens

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
    """The threads of the kernels of all language models."""
    return ThreadPoolExecutor(threads, thread_name_prefix="language model")


def _bits(states: Tensor) -> npt.NDArray[np.uint16]:
    bits: npt.NDArray[np.uint16] = states.view(torch.uint16).numpy()
    return bits

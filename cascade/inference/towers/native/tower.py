"""A tower of layers like BERT's in eight bits."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import ClassVar

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from cascade.inference.towers.bert_weights import BertWeights
from cascade.inference.towers.native.kernels import add_and_normalise, embed, gelu, gelu_tanh, relu
from cascade.inference.towers.native.pieces import pieces
from cascade.inference.towers.native.scratch import Scratch
from cascade.inference.towers.native.weights import floats, norm, rounded_layers
from cascade.inference.towers.strip import Strip
from cascade.inference.towers.tower import BackendName, States

_ACTIVATE = {"gelu": gelu, "gelu_tanh": gelu_tanh, "relu": relu}


class NativeTower:
    """Weights are rounded to eight bits once, by output; what they multiply at every turn, by token.

    Channels that are large in every token are made smaller first, and their weights larger. No token's numbers depend
    on another sequence: sums of whole numbers are exact in any order, attention is computed by sequence, all else by
    token. Rounding by token as in ZeroQuant (Yao et al., 2022).
    A strip is cut into pieces, and each goes through all layers in one thread: nothing is waited for in between.
    """

    backend: ClassVar[BackendName] = "native-int8"
    same_bits: ClassVar[bool] = True

    def __init__(self, weights: BertWeights, *, threads: int, strips: Sequence[Strip] = ()) -> None:
        """`strips` of natural text tell which channels to smooth; without them none is."""
        self._threads = max(1, threads)
        self._embeddings = tuple(floats(one) for one in (weights.words, weights.positions, weights.types))
        self._norm = norm(weights.norm)
        self._eps = np.float32(weights.eps)
        self._heads = weights.heads
        self._activate = _ACTIVATE[weights.activation]
        self._layers = rounded_layers(weights, strips)
        plain = np.ones(weights.hidden, dtype=np.float32)  # of the last states, which nothing multiplies
        self._smooth = [*(layer.smooth.read for layer in self._layers), plain]
        self._hidden = weights.hidden
        self._wide = self._layers[0].up.weight.shape[1] if self._layers else weights.hidden
        self._local = threading.local()

    def states(self, strip: Strip) -> States:
        """As promised by `Tower`; any thread may call it."""
        found = np.empty((strip.shown[-1], self._hidden), dtype=np.float32)
        parts = pieces(strip.lengths.tolist(), self._threads)
        for _ in _pool(self._threads).map(lambda part: self._piece(strip, part, found), parts):
            pass
        return found

    def _piece(self, strip: Strip, part: list[int], found: States) -> None:
        """Write to `found` the states of the sequences of `part` that are asked for."""
        places = np.concatenate([np.arange(strip.starts[n], strip.starts[n + 1]) for n in part])
        starts = np.cumsum([0, *strip.lengths[part]], dtype=np.int64)
        room = self._room(len(places))
        on = room.rows[: len(places)]
        embed(
            strip.ids[places], strip.positions[places], strip.types[places], *self._embeddings, *self._norm, self._eps,
            self._smooth[0], room.smoothed, on.states, on.given.numpy(), on.scales,
        )  # fmt: skip
        parts = strip.parts[places]
        for layer, smooth in zip(self._layers, self._smooth[1:], strict=True):
            only_first = strip.only_first and layer is self._layers[-1]
            torch._int_mm(on.given, layer.read.weight, out=on.read_sums)
            room.attend(
                on.read_sums.numpy(), on.scales, layer.read.scales, layer.read.bias, parts, starts, layer.gate,
                1 if only_first else len(places), on.given.numpy(), on.scales,
            )  # fmt: skip
            if only_first:
                places, on = np.asarray(part), on.only(starts[:-1])
            torch._int_mm(on.given, layer.out.weight, out=on.sums)
            add_and_normalise(
                on.sums.numpy(), on.scales, on.no_offsets, layer.out.scales, layer.out.sums, layer.out.bias,
                *layer.attention_norm, self._eps, layer.smooth.up, room.smoothed,
                on.states, on.given.numpy(), on.scales,
            )  # fmt: skip
            torch._int_mm(on.given, layer.up.weight, out=on.wide_sums)
            self._activate(
                on.wide_sums.numpy(), on.scales, layer.up.scales, layer.up.bias, room.row,
                on.wide_given.numpy(), on.wide_scales, on.wide_offsets,
            )  # fmt: skip
            torch._int_mm(on.wide_given, layer.down.weight, out=on.sums)
            add_and_normalise(
                on.sums.numpy(), on.wide_scales, on.wide_offsets, layer.down.scales, layer.down.sums, layer.down.bias,
                *layer.output_norm, self._eps, smooth, room.smoothed, on.states, on.given.numpy(), on.scales,
            )  # fmt: skip
        found[places] = on.states

    def _room(self, tokens: int) -> Scratch:
        """This thread's memory, large enough."""
        room: Scratch | None = getattr(self._local, "room", None)
        if room is None or room.tokens < tokens:
            room = self._local.room = Scratch(tokens, self._hidden, self._wide, self._heads)
        return room


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """The threads of every such tower."""
    return ThreadPoolExecutor(threads, thread_name_prefix="tower", initializer=_alone)


def _alone() -> None:
    """Let the multiplications of this thread use no other, so that no more compute than there are threads.

    torch's own setting would hold for the whole process; this one is the thread's, made after torch has made its own.
    """
    torch.get_num_threads()
    threadpool_limits(1, user_api="openmp")

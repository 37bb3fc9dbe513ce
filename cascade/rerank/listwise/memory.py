"""What a language model keeps of tokens that it has read, so that it need not read them again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class Memory:
    """Keys and values of `ids`, in every layer. What was written is never changed, so that a part of the front can
    be read by others while more is added behind."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self._layers: list[tuple[Tensor, Tensor]] = []

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def bytes(self) -> int:
        """Of memory held, room for more included."""
        return sum(part.numel() * part.element_size() for layer in self._layers for part in layer)

    def shared(self, ids: Sequence[int]) -> int:
        """How many of the first of `ids` are held; fewer than all, for the last one has to be read to go on."""
        most = min(len(self.ids), len(ids) - 1)
        return next((i for i in range(most) if self.ids[i] != ids[i]), max(0, most))

    def of(self, layer: int, end: int) -> tuple[Tensor, Tensor]:
        """Keys and values [heads, end, size] of the first `end` tokens."""
        keys, values = self._layers[layer]
        return keys[:, :end], values[:, :end]

    def front(self, end: int) -> Memory:
        """A memory of its own of the first `end` tokens."""
        found = Memory()
        found.ids = self.ids[:end]
        found._layers = [(keys[:, :end].clone(), values[:, :end].clone()) for keys, values in self._layers]
        return found

    def write(self, layer: int, at: int, keys: Tensor, values: Tensor) -> None:
        """Hold [heads, n, size] behind the first `at` tokens of that layer; layers come in order."""
        if layer == len(self._layers):
            self._layers.append((_room(keys, at), _room(values, at)))
        held = self._layers[layer]
        if (end := at + keys.shape[1]) > held[0].shape[1]:
            held = self._layers[layer] = (_grown(held[0], at, end), _grown(held[1], at, end))
        held[0][:, at:end] = keys
        held[1][:, at:end] = values


def _room(like: Tensor, at: int) -> Tensor:
    if at:
        raise ValueError(f"found {at} tokens before the first that are written, expected none")
    return like.new_empty((like.shape[0], like.shape[1] + like.shape[1] // 8 + 16, like.shape[2]))


def _grown(held: Tensor, at: int, end: int) -> Tensor:
    grown = held.new_empty((held.shape[0], end + end // 2, held.shape[2]))
    grown[:, :at] = held[:, :at]
    return grown

"""The memory that one thread computes a piece of a strip in, kept from piece to piece."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cascade.inference.towers.native.attention import attention
from cascade.inference.towers.native.tile import ROWS

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False, slots=True)
class Rows:
    """What there is for every token of a piece, one row each.

    What is multiplied, `given` and `wide_given`, has `scales` and `wide_scales`, and the second `wide_offsets`.
    """

    states: Floats
    scales: Floats
    given: Tensor
    read_sums: Tensor
    sums: Tensor
    wide_given: Tensor
    wide_scales: Floats
    wide_offsets: Floats
    wide_sums: Tensor
    no_offsets: Floats

    def __getitem__(self, rows: slice) -> Rows:
        """The same memory."""
        return Rows(*(getattr(self, name)[rows] for name in self.__slots__))

    def only(self, rows: npt.NDArray[Any]) -> Rows:
        """Those of `rows`, whose states and what is given of them are moved to the front."""
        found = self[: len(rows)]
        found.states[:], found.scales[:] = self.states[rows], self.scales[rows]
        found.given[:] = self.given[rows]
        return found


class Scratch:
    """Room for `tokens` in all and sequences of at most as many; nothing in it outlives a piece."""

    def __init__(self, tokens: int, hidden: int, wide: int, heads: int) -> None:
        self.tokens = tokens
        self.row = np.empty(wide, dtype=np.float32)
        self.smoothed = np.empty(hidden, dtype=np.float32)
        self.attend = attention(tokens, hidden, heads)
        read_sums = torch.zeros(tokens + ROWS, 3 * hidden, dtype=torch.int32)  # a tile may reach beyond the last
        self.rows = Rows(
            states=np.empty((tokens, hidden), dtype=np.float32),
            scales=np.empty(tokens, dtype=np.float32),
            given=torch.empty(tokens, hidden, dtype=torch.int8),
            read_sums=read_sums[:tokens],
            sums=torch.empty(tokens, hidden, dtype=torch.int32),
            wide_given=torch.empty(tokens, wide, dtype=torch.int8),
            wide_scales=np.empty(tokens, dtype=np.float32),
            wide_offsets=np.empty(tokens, dtype=np.float32),
            wide_sums=torch.empty(tokens, wide, dtype=torch.int32),
            no_offsets=np.zeros(tokens, dtype=np.float32),
        )

"""The memory that one thread computes a piece of a strip in, kept from piece to piece."""

from __future__ import annotations

import numpy as np
import torch

from cascade.inference.towers.native.attention import attention
from cascade.inference.towers.native.tile import ROWS


class Scratch:
    """Room for `tokens` in all and sequences of at most as many; nothing in it outlives a piece.

    What is multiplied is seen both as a tensor and as an array of the same memory.
    """

    def __init__(self, tokens: int, hidden: int, wide: int, heads: int) -> None:
        self.tokens = tokens
        self.states = np.empty((tokens, hidden), dtype=np.float32)
        self.row = np.empty(wide, dtype=np.float32)
        self.smoothed = np.empty(hidden, dtype=np.float32)
        self.scales = np.empty(tokens, dtype=np.float32)
        self.wide_scales = np.empty(tokens, dtype=np.float32)
        self.wide_offsets = np.empty(tokens, dtype=np.float32)
        self.no_offsets = np.zeros(tokens, dtype=np.float32)
        self.input = torch.empty(tokens, hidden, dtype=torch.int8)
        self.wide_input = torch.empty(tokens, wide, dtype=torch.int8)
        self.sums = torch.empty(tokens, hidden, dtype=torch.int32)
        self.read_sums = torch.zeros(tokens + ROWS, 3 * hidden, dtype=torch.int32)  # a tile may reach beyond the last
        self.wide_sums = torch.empty(tokens, wide, dtype=torch.int32)
        self.attend = attention(tokens, hidden, heads)

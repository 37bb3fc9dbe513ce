"""Sequences of tokens laid end to end, so that no padding is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Tokens:
    """One sequence as a model reads it, special tokens included; all arrays int64 [length].

    `positions` are those of the position embeddings, `types` the token types. `parts` say which of two texts a token
    belongs to, 0 or 1, for a model whose attention between the two is gated; all 0 for any other. With `only_first` the
    model's head reads the first token's state alone, so that the last layer need not make the others.
    """

    ids: Ints
    positions: Ints
    types: Ints
    parts: Ints
    only_first: bool = False

    @property
    def length(self) -> int:
        """In tokens."""
        return len(self.ids)

    @staticmethod
    def single(ids: Sequence[int]) -> Tokens:
        """One text, at positions from 0 and of type 0."""
        zeros = np.zeros(len(ids), dtype=np.int64)
        return Tokens(np.asarray(ids, dtype=np.int64), np.arange(len(ids), dtype=np.int64), zeros, zeros)


@dataclass(frozen=True, slots=True)
class Strip:
    """Sequences end to end: the arrays of `Tokens` concatenated [tokens], and where each starts, with the end [n + 1].

    A token attends to those of its own sequence only. With `only_first` the states of first tokens are asked for alone.
    """

    ids: Ints
    positions: Ints
    types: Ints
    parts: Ints
    starts: Ints
    only_first: bool = False

    @staticmethod
    def of(sequences: Sequence[Tokens]) -> Strip:
        """In the order given; one at least, none empty."""
        return Strip(
            np.concatenate([one.ids for one in sequences]),
            np.concatenate([one.positions for one in sequences]),
            np.concatenate([one.types for one in sequences]),
            np.concatenate([one.parts for one in sequences]),
            np.cumsum([0, *(one.length for one in sequences)], dtype=np.int64),
            all(one.only_first for one in sequences),
        )

    @property
    def lengths(self) -> Ints:
        """Of every sequence, in tokens."""
        return np.diff(self.starts)

    @property
    def wanted(self) -> Ints | slice:
        """Which tokens' states are asked for."""
        return self.starts[:-1] if self.only_first else slice(None)

    @property
    def shown(self) -> Ints:
        """Where each sequence starts among the states that are asked for, with the end [n + 1]."""
        return np.arange(len(self.starts), dtype=np.int64) if self.only_first else self.starts

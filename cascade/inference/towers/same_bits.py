"""Any tower, asked for one sequence at a time, so that a sequence's states do not depend on its company."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from cascade.inference.towers.strip import Strip
from cascade.inference.towers.tower import States, Tower


class SameBits:
    """Every multiplication has the shape that the sequence's own length gives it, and so adds in the same order.

    True of one machine and one number of threads. Nothing is padded, but short sequences do not fill a processor
    together, and a GPU far less.
    """

    same_bits = True

    def __init__(self, tower: Tower) -> None:
        self._tower = tower
        self.backend = tower.backend

    def states(self, strip: Strip) -> States:
        """As promised by `Tower`."""
        return np.concatenate([self._tower.states(_part(strip, start, end)) for start, end in pairwise(strip.starts)])


def _part(strip: Strip, start: int, end: int) -> Strip:
    """The one sequence from token `start` to `end`."""
    place = slice(start, end)
    starts = np.array([0, end - start], dtype=np.int64)
    taken = (strip.ids[place], strip.positions[place], strip.types[place], strip.parts[place])
    return Strip(*taken, starts, strip.only_first)

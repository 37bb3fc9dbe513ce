"""Sequences as padded batches, longest first, with little padding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cascade.inference.towers.strip import Ints, Strip

_MOST_PADDING = 0.1


@dataclass(frozen=True, eq=False, slots=True)
class Padded:
    """Some sequences of a strip, padded to the longest: int64 arrays [n, length], `parts` -1 at padding.

    `real` [n, length] says where tokens are, `tokens` [real tokens] which of the strip's these are, row by row.
    """

    ids: Ints
    positions: Ints
    types: Ints
    parts: Ints
    tokens: Ints

    @property
    def real(self) -> npt.NDArray[np.bool_]:
        """Where there is no padding."""
        return self.parts >= 0

    @property
    def padding(self) -> float:
        """The share of the batch that is padding."""
        return 1.0 - len(self.tokens) / self.ids.size


def up(count: int, to: int) -> int:
    """The next multiple of `to`."""
    return (count + to - 1) // to * to


def padded_batches(strip: Strip, *, pad_id: int, most_tokens: int = 4096) -> Iterator[Padded]:
    """All of the strip in batches of at most `most_tokens` and a tenth of padding each; a longer sequence is alone."""
    for rows in groups(strip.lengths.tolist(), most_tokens):
        yield _padded(strip, rows, pad_id)


def groups(lengths: list[int], most_tokens: int) -> list[list[int]]:
    """Indices by falling length, cut where a batch would be more than a tenth padding or beyond `most_tokens`."""
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    found: list[list[int]] = []
    real = 0
    for index in order:
        real += lengths[index]
        if found:
            size = lengths[found[-1][0]] * (len(found[-1]) + 1)
            if size <= most_tokens and real >= (1 - _MOST_PADDING) * size:
                found[-1].append(index)
                continue
        found.append([index])
        real = lengths[index]
    return found


def _padded(strip: Strip, rows: list[int], pad_id: int) -> Padded:
    lengths = strip.lengths[rows]
    columns = np.arange(int(lengths.max()), dtype=np.int64)
    real = columns[None] < lengths[:, None]
    places = (strip.starts[rows][:, None] + columns[None])[real]

    def filled(values: Ints, padding: int) -> Ints:
        table = np.full(real.shape, padding, dtype=np.int64)
        table[real] = values[places]
        return table

    return Padded(
        filled(strip.ids, pad_id),
        filled(strip.positions, 0),
        filled(strip.types, 0),
        filled(strip.parts, -1),
        places,
    )

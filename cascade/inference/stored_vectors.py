"""Token vectors in eight bits a component: a quarter of their size, for a change of order that is hard to find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cascade.stages import StoredVectors

_STEPS = 127


def quantised(vectors: npt.NDArray[np.float32], tokens_seen: int, tokens_total: int) -> StoredVectors:
    """`vectors` (tokens, dimensions) in whole steps of a `scale` for each token, its largest component over 127.

    The scale is a float16 number, so that an index keeps it in two bytes and loses nothing.
    """
    largest = np.abs(vectors).max(axis=1, initial=0.0)
    scale = np.maximum(largest / _STEPS, np.finfo(np.float16).tiny).astype(np.float16).astype(np.float32)
    steps = np.clip(np.rint(vectors / scale[:, None]), -_STEPS, _STEPS).astype(np.int8)
    return StoredVectors(steps, scale, tokens_seen, tokens_total)


def restored(stored: StoredVectors) -> npt.NDArray[np.float32]:
    """The vectors, float32 (tokens, dimensions), each component within half a step of what it was."""
    found: npt.NDArray[np.float32] = stored.vectors.astype(np.float32) * stored.scale[:, None]
    return found


@dataclass(frozen=True, eq=False, slots=True)
class PackedVectors:
    """Many documents' stored vectors where they lie, and their float32 scales one after the other.

    Document i has `lengths[i]` vectors of `dimensions`, which are `kept[i]`, from address `addresses[i]` on, and as
    many scales from `starts[i]` on.
    """

    addresses: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    scales: npt.NDArray[np.float32]
    dimensions: int
    kept: Sequence[npt.NDArray[np.int8]]

    @staticmethod
    def of(documents: Sequence[StoredVectors]) -> PackedVectors:
        """Of documents of the same dimensions, one at least; nothing is copied but the scales.

        Raises ValueError where a document has not one scale for each vector.
        """
        kept = [np.ascontiguousarray(one.vectors, dtype=np.int8) for one in documents]
        lengths = np.array([len(vectors) for vectors in kept], dtype=np.int64)
        scales = np.concatenate([one.scale for one in documents]).astype(np.float32, copy=False)
        if [len(one.scale) for one in documents] != lengths.tolist():
            raise ValueError(f"found {len(scales)} scales of {lengths.sum()} stored vectors, expected one of each")
        return PackedVectors(addresses(kept), lengths, np.cumsum(lengths) - lengths, scales, kept[0].shape[1], kept)

    def __len__(self) -> int:
        return len(self.lengths)

    def restored(self) -> list[npt.NDArray[np.float32]]:
        """The vectors of every document."""
        ends = self.starts + self.lengths
        each = zip(self.kept, self.starts, ends, strict=True)
        return [vectors.astype(np.float32) * self.scales[start:end, None] for vectors, start, end in each]


def addresses(arrays: Sequence[npt.NDArray[np.generic]]) -> npt.NDArray[np.int64]:
    """Where in memory each begins."""
    return np.array([one.ctypes.data for one in arrays], dtype=np.int64)

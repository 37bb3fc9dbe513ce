"""What an upsert has encoded and not committed yet: kept by content, so that after a kill it goes on from there."""

from __future__ import annotations

import hashlib
import time
import uuid
import zipfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np

from cascade.index.durable import sync
from cascade.index.info import Vectors

_KEEP_SECONDS = 7 * 24 * 3600.0


def content_key(passage: str) -> bytes:
    """Equal for equal passages; 16 bytes."""
    return hashlib.blake2b(passage.encode(), digest_size=16).digest()


class Pending:
    """The folder `pending/`: each file holds the keys and vectors of one encoded chunk, whole or not at all.

    Token vectors are bytes, empty in an index that has none.
    """

    def __init__(self, folder: Path, dimensions: int) -> None:
        self._folder = folder
        self._dimensions = dimensions

    def save(self, keys: Sequence[bytes], vectors: Vectors, token_vectors: Sequence[bytes]) -> None:
        """Keep the vectors (n, d) and token vectors of n passages, on disk when this returns."""
        self._folder.mkdir(exist_ok=True)
        work = self._folder / f"{uuid.uuid4().hex}.new"
        with work.open("wb") as file:
            np.savez(
                file,
                keys=np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(len(keys), 16),
                vectors=vectors,
                token_bytes=np.frombuffer(b"".join(token_vectors), dtype=np.uint8),
                token_sizes=np.array([len(content) for content in token_vectors], dtype=np.int64),
            )
        sync(work)
        work.rename(work.with_suffix(".npz"))
        sync(self._folder)

    def load(self) -> dict[bytes, tuple[Vectors, bytes]]:
        """All that is kept, by key: vector and token vectors."""
        kept: dict[bytes, tuple[Vectors, bytes]] = {}
        for _, keys, vectors, tokens in self._chunks():
            kept.update(zip(keys, zip(vectors, tokens, strict=True), strict=True))
        return kept

    def clear(self, used: Collection[bytes]) -> None:
        """Remove the chunks that were `used`, and those that nobody asked for in a week."""
        for path, keys, _, _ in list(self._chunks()):
            if not set(keys).isdisjoint(used) or time.time() - path.stat().st_mtime > _KEEP_SECONDS:
                path.unlink()
        for unfinished in self._folder.glob("*.new"):
            unfinished.unlink()

    def _chunks(self) -> Iterator[tuple[Path, list[bytes], Vectors, list[bytes]]]:
        for path in sorted(self._folder.glob("*.npz")):
            try:
                with np.load(path) as chunk:
                    keys, vectors = [key.tobytes() for key in chunk["keys"]], chunk["vectors"]
                    content, ends = chunk["token_bytes"].tobytes(), np.cumsum(chunk["token_sizes"]).tolist()
            except (OSError, ValueError, KeyError, zipfile.BadZipFile):
                path.unlink()  # only a shortcut is lost: its passages are encoded again
                continue
            tokens = [content[start:end] for start, end in zip([0, *ends], ends, strict=False)]
            if vectors.shape == (len(keys), self._dimensions) and len(tokens) == len(keys):
                yield path, keys, vectors, tokens

"""All indexes of one tenant: one folder each, under one root."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from cascade.errors import (
    AlreadyExistsError,
    CorruptIndexError,
    IndexBusyError,
    InvalidInputError,
    NotFoundError,
    Violation,
)
from cascade.index.durable import new_folder, remove_folder, sweep
from cascade.index.index import TABLE, Index
from cascade.index.info import DocumentEncoder, Encoding, IndexInfo, TokenEncoder, no_token_encoder
from cascade.index.lock import write_lock
from cascade.index.table import Table
from cascade.index.vectors import FLAT_LIMIT

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_LEFTOVER_SECONDS = 3600.0


class IndexStore:
    """Opens each index once and shares it; safe to use from several threads.

    `create`, `drop` and the first `open` of an index read and write disk, and may take seconds for a large one.
    """

    def __init__(
        self,
        root: Path,
        encoders: Callable[[str], DocumentEncoder],
        token_encoders: Callable[[str], TokenEncoder] = no_token_encoder,
        *,
        flat_limit: int = FLAT_LIMIT,
    ) -> None:
        """`encoders` and `token_encoders` give the model of a reference.

        Up to `flat_limit` vectors are searched exactly.
        """
        self._root = root
        self._encoders = encoders
        self._token_encoders = token_encoders
        self._flat_limit = flat_limit
        self._indexes: dict[str, Index] = {}
        self._lock = threading.Lock()
        if root.is_dir():
            sweep(root, _LEFTOVER_SECONDS)

    def create(self, name: str, encoder: str, token_vectors: str = "") -> IndexInfo:
        """Make an empty index whose vectors come from `encoder`, and its token vectors from the model `token_vectors`.

        Raises InvalidInputError (name), AlreadyExistsError, ModelLoadError.
        """
        if not _NAME.fullmatch(name):
            message = f"found {name!r}, expected 1 to 63 of a-z, 0-9, _ and -, the first a letter or digit"
            raise InvalidInputError([Violation("name", message)])
        folder = self._root / name
        if folder.exists():
            raise AlreadyExistsError("index", name)
        token_dimensions = self._token_encoders(token_vectors).dimensions if token_vectors else 0
        encoding = Encoding(encoder, self._encoders(encoder).dimensions, token_vectors, token_dimensions)
        try:
            with new_folder(folder) as work:
                Table.create(work / TABLE, encoding)
        except OSError as error:
            if folder.exists():
                raise AlreadyExistsError("index", name) from error
            raise
        return self.open(name).info

    def open(self, name: str) -> Index:
        """The index `name`, with what other processes wrote to it. Raises NotFoundError, CorruptIndexError."""
        index = self._indexes.get(name)
        if index is not None and not index.dropped:
            index.refresh()
            return index
        with self._lock:
            index = self._indexes.get(name)
            if index is None or index.dropped:
                self._indexes.pop(name, None)
                index = self._indexes[name] = self._read(name)
            return index

    def list(self) -> Sequence[IndexInfo]:
        """All indexes by name; one that cannot be read says so in `problem`."""
        return [self._info(name) for name in self._names()]

    def drop(self, name: str) -> None:
        """Delete the index and its documents, readable or not; snapshots in use stay whole.

        Raises NotFoundError, IndexBusyError.
        """
        folder = self._folder(name)
        with self._lock:
            index = self._indexes.pop(name, None)
        with index.exclusive() if index is not None and not index.dropped else write_lock(name, folder):
            remove_folder(folder)

    def close(self) -> None:
        """Forget all open indexes; snapshots in use stay whole."""
        with self._lock:
            self._indexes.clear()

    def _info(self, name: str) -> IndexInfo:
        try:
            return self.open(name).info
        except (CorruptIndexError, IndexBusyError, NotFoundError) as error:
            return IndexInfo(name, 0, 0, "", 0, "", 0.0, datetime.fromtimestamp(0, UTC), problem=str(error))

    def _read(self, name: str) -> Index:
        folder = self._folder(name)
        return Index(name, folder, self._encoders, self._token_encoders, flat_limit=self._flat_limit)

    def _folder(self, name: str) -> Path:
        folder = self._root / name
        if not _NAME.fullmatch(name) or not folder.is_dir():
            raise NotFoundError("index", name, self._names())
        return folder

    def _names(self) -> Sequence[str]:
        if not self._root.is_dir():
            return []
        return sorted(path.name for path in self._root.iterdir() if _NAME.fullmatch(path.name) and path.is_dir())

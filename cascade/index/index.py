"""One index: a table that is written, and the snapshot that is published of it."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog

from cascade.errors import IndexBusyError, ModelLoadError, NotFoundError
from cascade.index.checks import check_documents
from cascade.index.derived import Derived
from cascade.index.encode import Progress, encode
from cascade.index.info import (
    Change,
    DocumentEncoder,
    IndexInfo,
    SupportsTokenIds,
    TokenEncoder,
    Tokeniser,
    no_token_encoder,
)
from cascade.index.lock import write_lock
from cascade.index.pending import Pending, content_key
from cascade.index.snapshot import Snapshot
from cascade.index.table import Table, metadata_text
from cascade.index.vectors import FLAT_LIMIT
from cascade.types import Document

TABLE = "documents.lance"
_OPEN_PATIENCE_SECONDS = 60.0
_log = structlog.get_logger()


class Index:
    """`snapshot` is always one whole version; a change replaces it when it is on disk, before its call returns.

    Reading needs no lock. Writing threads of this process take turns; while one writes, writing from another process
    raises IndexBusyError.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        encoders: Callable[[str], DocumentEncoder],
        token_encoders: Callable[[str], TokenEncoder] = no_token_encoder,
        *,
        flat_limit: int = FLAT_LIMIT,
    ) -> None:
        """Open the newest version, deriving what is searched if it is not there. Raises CorruptIndexError."""
        self.name = name
        self.folder = folder
        self._encoders = encoders
        self._token_encoders = token_encoders
        self._turn = threading.Lock()
        self._identity = os.open(folder, os.O_RDONLY)  # kept open, so that no later folder can get its inode
        weakref.finalize(self, os.close, self._identity)
        self._stamp = self._look()
        self._table = Table(name, folder / TABLE)
        self._derived = Derived(name, folder / "derived", flat_limit, self._tokeniser)
        self._snapshot = self._first_snapshot()

    @property
    def snapshot(self) -> Snapshot:
        """What is published now."""
        return self._snapshot

    @property
    def info(self) -> IndexInfo:
        """The facts of what is published now."""
        return self._snapshot.info

    @property
    def dropped(self) -> bool:
        """Whether this index is no longer the one in its folder."""
        try:
            return not os.path.samestat(self.folder.stat(), os.fstat(self._identity))
        except FileNotFoundError:
            return True

    def upsert(self, documents: Iterable[Document], *, progress: Progress | None = None) -> Change:
        """Add documents, replacing those of the same id, as one change that is on disk and visible when this returns.

        A document that is here as it is given is left alone, and counted as replaced. `progress` is called with how
        many documents have a vector so far, and how many there are; what an interrupted call had encoded counts at
        once.
        Raises InvalidInputError, IndexBusyError, ModelLoadError, CorruptIndexError.
        """
        given = list(documents)
        check_documents(given)
        with self._writing():
            before = self._snapshot
            here = before.fetch([d.doc_id for d in given])
            new = [d for d in given if d.doc_id not in here or not _same(d, here[d.doc_id])]
            if not new and progress:
                progress(len(given), len(given))
            if new:
                pending = Pending(self.folder / "pending", before.info.dimensions)
                encoder = self._encoders(before.info.encoder)
                made_by = before.info.token_vectors
                token_encoder = self._token_encoders(made_by) if made_by else None
                unchanged = len(given) - len(new)
                report = (lambda done: progress(unchanged + done, len(given))) if progress else (lambda done: None)
                vectors, token_vectors = encode(new, encoder, token_encoder, before, pending, report)
                self._table.upsert(new, vectors, token_vectors if token_encoder else None)
                self._publish()
                pending.clear({content_key(d.passage) for d in new})
            return Change(added=len(given) - len(here), replaced=len(here), deleted=0, info=self.info)

    def delete(self, doc_ids: Sequence[str]) -> Change:
        """Delete documents as one change that is on disk and visible when this returns; unknown ids are counted out.

        Raises IndexBusyError, CorruptIndexError.
        """
        with self._writing():
            here = sorted({doc_id for doc_id in doc_ids if doc_id in self._snapshot})
            if here:
                self._table.delete(here)
                self._publish()
            return Change(added=0, replaced=0, deleted=len(here), info=self.info)

    def refresh(self) -> None:
        """Publish what another process has written and derived since; does nothing while this one writes."""
        if self._stamp == self._look() or not self._turn.acquire(blocking=False):
            return
        try:
            self._catch_up(build=False)
        finally:
            self._turn.release()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep every other writer out. Raises IndexBusyError, and NotFoundError when the index has been dropped."""
        with self._turn, write_lock(self.name, self.folder):
            if self.dropped:
                raise NotFoundError("index", self.name)
            yield

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self.exclusive():
            self._catch_up(build=True)
            yield
            self._stamp = self._look()

    def _publish(self) -> None:
        self._table.tidy()
        start = time.perf_counter()
        self._snapshot = self._derived.build(self._table, self._snapshot)
        _log.info(
            "index_published",
            index=self.name,
            version=self.info.version,
            documents=self.info.documents,
            vector_search=self.info.vector_search,
            vector_recall=round(self.info.vector_recall, 4),
            seconds=round(time.perf_counter() - start, 3),
        )

    def _tokeniser(self, reference: str) -> Tokeniser | None:
        """That of the encoder; None, and the reason logged, where the encoder has none or cannot be loaded."""
        try:
            encoder = self._encoders(reference)
            return encoder.tokeniser() if isinstance(encoder, SupportsTokenIds) else None
        except ModelLoadError as error:
            # Documents are searched all the same, and read by models that make their ids each time.
            _log.warning("token_ids_not_kept", index=self.name, encoder=reference, reason=str(error))
            return None

    def _catch_up(self, *, build: bool) -> None:
        stamp = self._look()
        if stamp == self._stamp and self._table.version == self.info.version:
            return
        self._table.refresh()
        if self._table.version != self.info.version:
            fresh = self._derived.open(self._table)
            if fresh is None and build:
                fresh = self._derived.build(self._table, self._snapshot)
            if fresh is None:
                return
            self._snapshot = fresh
        self._stamp = stamp

    def _first_snapshot(self) -> Snapshot:
        deadline = time.monotonic() + _OPEN_PATIENCE_SECONDS
        while True:
            found = self._derived.open(self._table)
            if found is not None:
                return found
            try:
                with write_lock(self.name, self.folder):
                    self._table.refresh()
                    return self._derived.open(self._table) or self._derived.build(self._table, None)
            except IndexBusyError:  # another process is about to publish
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.1)
            self._table.refresh()

    def _look(self) -> tuple[int, int]:
        """Changes whenever anybody commits."""
        try:
            versions = (self.folder / TABLE / "_versions").stat()
        except OSError:  # opening the table tells what is wrong with it
            return (0, 0)
        return versions.st_ino, versions.st_mtime_ns


def _same(a: Document, b: Document) -> bool:
    return (a.title, a.text, metadata_text(a.metadata)) == (b.title, b.text, metadata_text(b.metadata))

"""The source of truth: a versioned Lance dataset in which every change is one atomic commit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade.errors import CorruptIndexError
from cascade.index.durable import sync_tree
from cascade.index.info import Encoding, Vectors
from cascade.types import Document

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = "1"
_TEXTS = ("id", "title", "text", "metadata")
_VECTOR = "vector"
_TOKEN_VECTORS = "token_vectors"
_ROWS_PER_BATCH = 1024  # of token vectors, which take a hundred bytes for each token
_ROWS_PER_FRAGMENT = 65_536
_MAX_FRAGMENTS = 16
_KEEP_VERSIONS = 8  # for a process that opened one and is about to read its files


class Table:
    """The documents of one index: id, title, text, metadata as JSON text, vector, and token vectors if it has them.

    A change is written and synced to disk, then committed, then synced again: after a crash at any moment the newest
    version is a whole one. Only the holder of the index's write lock may call what changes it.
    """

    def __init__(self, index: str, path: Path) -> None:
        """Open the newest version. Raises CorruptIndexError."""
        self._index = index
        self._path = path
        self._dataset: Any = None
        self._synced: frozenset[Path] = frozenset()
        self.refresh()

    @staticmethod
    def create(path: Path, encoding: Encoding) -> None:
        """Write an empty table."""
        import lance

        lance.write_dataset(_schema(encoding).empty_table(), path, mode="create")
        sync_tree(path)

    def refresh(self) -> None:
        """Look at the newest version. Raises CorruptIndexError."""
        import lance

        if not self._path.is_dir():
            raise self._corrupt(f"there is no table at {self._path}")
        try:
            self._dataset = lance.dataset(self._path)
            facts = {k.decode(): v.decode() for k, v in (self._dataset.schema.metadata or {}).items()}
            if facts.get("cascade.format") != FORMAT:
                raise self._corrupt(f"its format is {facts.get('cascade.format')!r}, expected {FORMAT!r}")
            self.encoding = Encoding(
                facts["cascade.encoder"],
                int(facts["cascade.dimensions"]),
                facts.get("cascade.token_vectors", ""),
                int(facts.get("cascade.token_dimensions", "0")),
            )
            if self._dataset.schema != _schema(self.encoding):
                raise self._corrupt("its columns are not those of an index")
            self._check_files()
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise self._corrupt(str(error)) from error
        self._synced = frozenset(path for path in self._path.rglob("*") if path.is_file())

    @property
    def version(self) -> int:
        """The version looked at; it grows with every change."""
        return int(self._dataset.version)

    @property
    def commit_id(self) -> str:
        """Unique to the commit that made this version, also among tables that number theirs alike."""
        return str(self._dataset.read_transaction(self.version).uuid)

    @property
    def updated_at(self) -> datetime:
        """When this version was made."""
        stamp: datetime = next(v["timestamp"] for v in self._dataset.versions() if v["version"] == self.version)
        return stamp.astimezone(UTC)

    def read(self) -> pa.Table:
        """All documents without their token vectors, in no particular order. Raises CorruptIndexError."""
        try:
            return self._dataset.to_table(columns=[*_TEXTS, _VECTOR])
        except (OSError, ValueError, RuntimeError) as error:
            raise self._corrupt(str(error)) from error

    def token_vectors(self) -> Iterator[tuple[str, bytes]]:
        """Every document's id and token vectors, a few rows in memory at a time. Raises CorruptIndexError."""
        try:
            for batch in self._dataset.to_batches(columns=["id", _TOKEN_VECTORS], batch_size=_ROWS_PER_BATCH):
                yield from zip(batch.column("id").to_pylist(), batch.column(_TOKEN_VECTORS).to_pylist(), strict=True)
        except (OSError, ValueError, RuntimeError) as error:
            raise self._corrupt(str(error)) from error

    def upsert(
        self, documents: Sequence[Document], vectors: Vectors, token_vectors: Sequence[bytes] | None = None
    ) -> None:
        """Add documents, replacing those of the same id, in one commit; `vectors` is (documents, dimensions).

        `token_vectors` are each document's, where the index has them.
        """
        import pyarrow as pa

        columns = [
            pa.array([d.doc_id for d in documents], pa.string()),
            pa.array([d.title for d in documents], pa.string()),
            pa.array([d.text for d in documents], pa.string()),
            pa.array([metadata_text(d.metadata) for d in documents], pa.string()),
            pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel(), pa.float32()), self.encoding.dimensions),
        ]
        if token_vectors is not None:
            columns.append(pa.array(token_vectors, pa.large_binary()))
        rows = pa.Table.from_arrays(columns, schema=_schema(self.encoding))
        merge = self._dataset.merge_insert("id")
        self._commit(merge.when_matched_update_all().when_not_matched_insert_all(), rows)

    def delete(self, doc_ids: Sequence[str]) -> None:
        """Delete documents in one commit; ids that are not there are ignored."""
        import pyarrow as pa

        schema = pa.schema([_schema(self.encoding).field("id")])
        self._commit(
            self._dataset.merge_insert("id").when_matched_delete(), pa.table({"id": list(doc_ids)}, schema=schema)
        )

    def tidy(self) -> None:
        """Merge small fragments when there are many, and drop old versions and what killed changes left."""
        if len(self._dataset.get_fragments()) > _MAX_FRAGMENTS:
            self._dataset.optimize.compact_files(target_rows_per_fragment=_ROWS_PER_FRAGMENT, num_threads=1)
            self._synced = sync_tree(self._path, self._synced)
        self._dataset.cleanup_old_versions(retain_versions=_KEEP_VERSIONS, delete_unverified=True)

    def _commit(self, merge: Any, rows: pa.Table) -> None:
        import lance

        transaction, _ = merge.execute_uncommitted(rows)
        self._synced = sync_tree(self._path, self._synced)
        self._dataset = lance.LanceDataset.commit(self._dataset, transaction)
        self._synced = sync_tree(self._path, self._synced)

    def _check_files(self) -> None:
        for fragment in self._dataset.get_fragments():
            expected = {f"data/{file.path}": file.file_size_bytes for file in fragment.data_files()}
            if fragment.deletion_file():
                expected[fragment.deletion_file()] = None
            for name, size in expected.items():
                file = self._path / name
                if not file.is_file():
                    raise self._corrupt(f"the file {name} is missing")
                if size is not None and file.stat().st_size != size:
                    raise self._corrupt(f"the file {name} has {file.stat().st_size} bytes, expected {size}")

    def _corrupt(self, reason: str) -> CorruptIndexError:
        return CorruptIndexError(self._index, self._path, reason)


def metadata_text(metadata: Mapping[str, Any]) -> str:
    """Metadata as the table keeps it: one text for one mapping, types kept apart."""
    return json.dumps(dict(metadata), sort_keys=True)


def _schema(encoding: Encoding) -> pa.Schema:
    import pyarrow as pa

    fields = [pa.field(name, pa.string(), nullable=False) for name in _TEXTS]
    fields.append(pa.field(_VECTOR, pa.list_(pa.float32(), encoding.dimensions), nullable=False))
    facts = {
        "cascade.format": FORMAT,
        "cascade.encoder": encoding.encoder,
        "cascade.dimensions": str(encoding.dimensions),
    }
    if encoding.token_vectors:
        fields.append(pa.field(_TOKEN_VECTORS, pa.large_binary(), nullable=False))
        facts["cascade.token_vectors"] = encoding.token_vectors
        facts["cascade.token_dimensions"] = str(encoding.token_dimensions)
    return pa.schema(fields, metadata=facts)

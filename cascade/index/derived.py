"""What is searched, derived from one version of the table: built beside, published by renaming, checked when opened."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog

from cascade.index.durable import new_folder, remove_folder, sweep
from cascade.index.info import IndexInfo, Tokeniser
from cascade.index.lexical import PARAMETERS, Lexical
from cascade.index.snapshot import Snapshot, passages_of
from cascade.index.table import Table
from cascade.index.token_ids import TokenIdFile
from cascade.index.token_vectors import TokenVectorFile
from cascade.index.vectors import FLAT_LIMIT, VectorSearch

if TYPE_CHECKING:
    import pyarrow as pa

_FORMAT = 2
_TOKENS = "tokens"
_TOKEN_IDS = "token_ids"
_KEEP = 2
_ROWS_PER_BATCH = 65_536
_log = structlog.get_logger()


class Derived:
    """The folder `derived/`: one folder per version, with a manifest that names its table commit and all its files.

    A folder that does not match its manifest, or the table, is never read from.
    """

    def __init__(
        self,
        index: str,
        root: Path,
        flat_limit: int = FLAT_LIMIT,
        tokeniser: Callable[[str], Tokeniser | None] = lambda encoder: None,
    ) -> None:
        """`tokeniser` gives that of an encoder, None where there is none to be had."""
        self._index = index
        self._root = root
        self._flat_limit = flat_limit
        self._tokeniser = tokeniser

    def open(self, table: Table) -> Snapshot | None:
        """The snapshot of the table's version, or None when it has to be built."""
        folder = self._root / str(table.version)
        try:
            manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
            expected = {
                "format": _FORMAT,
                "commit": table.commit_id,
                "parameters": PARAMETERS,
                "flat_limit": self._flat_limit,
            }
            found = {key: manifest.get(key) for key in expected}
            if found != expected:
                raise ValueError(f"it was made for {found}, expected {expected}")
            if manifest["files"] != _checksums(folder):
                raise ValueError("its files are not those of its manifest")
            return self._load(folder, manifest)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            _log.warning("derived_index_unusable", index=self._index, version=table.version, reason=str(error))
            return None

    def build(self, table: Table, before: Snapshot | None) -> Snapshot:
        """Derive everything from the table's version, publish it, and drop older ones; needs the write lock."""
        self._root.mkdir(exist_ok=True)
        sweep(self._root)
        target = self._root / str(table.version)
        if target.exists():
            remove_folder(target)
        with new_folder(target) as folder:
            self._write(folder, table, before)
        self._drop_old(table.version)
        return self._load(target, json.loads((target / "manifest.json").read_text(encoding="utf-8")))

    def _write(self, folder: Path, table: Table, before: Snapshot | None) -> None:
        import pyarrow as pa

        rows = table.read().sort_by("id")
        texts = rows.select(["id", "title", "text", "metadata"])
        texts = texts.cast(pa.schema([pa.field(name, pa.large_string()) for name in texts.column_names]))
        with pa.OSFile(str(folder / "documents.arrow"), "wb") as sink, pa.ipc.new_file(sink, texts.schema) as writer:
            writer.write_table(texts, max_chunksize=_ROWS_PER_BATCH)
        doc_ids: list[str] = texts["id"].to_pylist()
        passages = passages_of(texts)
        if before is not None and not before.folder.is_dir():
            before = None  # another process has written several versions since
        known = before.unchanged(doc_ids, passages) if before else np.full(len(passages), -1, dtype=np.int64)
        Lexical.build(passages, folder / "lexical", before.lexical if before else None, known)
        encoding = table.encoding
        vectors = _matrix(rows["vector"], encoding.dimensions)
        predecessor = before.predecessor if before else None
        VectorSearch.build(vectors, doc_ids, folder / "vectors", predecessor, self._flat_limit)
        if encoding.token_vectors:
            row_of = {doc_id: row for row, doc_id in enumerate(doc_ids)}
            TokenVectorFile.build(table.token_vectors(), row_of, folder / _TOKENS)
        ids = before.token_id_file if before else None
        tokenizer = TokenIdFile.build(
            passages, folder / _TOKEN_IDS, ids, known, lambda: self._tokeniser(encoding.encoder)
        )
        manifest = {
            "format": _FORMAT,
            "commit": table.commit_id,
            "parameters": PARAMETERS,
            "flat_limit": self._flat_limit,
            "version": table.version,
            "documents": rows.num_rows,
            "encoder": encoding.encoder,
            "dimensions": encoding.dimensions,
            "token_vectors": encoding.token_vectors,
            "token_dimensions": encoding.token_dimensions,
            "tokenizer": tokenizer,
            "updated_at": table.updated_at.isoformat(),
            "files": _checksums(folder),
        }
        (folder / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")

    def _load(self, folder: Path, manifest: Mapping[str, Any]) -> Snapshot:
        import pyarrow as pa

        documents = pa.ipc.open_file(pa.memory_map(str(folder / "documents.arrow"))).read_all()
        if documents.num_rows != manifest["documents"]:
            raise ValueError(f"it has {documents.num_rows} documents, expected {manifest['documents']}")
        vectors = VectorSearch.load(folder / "vectors")
        made_by = manifest.get("token_vectors", "")  # not in manifests of before there were any
        tokens = TokenVectorFile.load(folder / _TOKENS, manifest["token_dimensions"]) if made_by else None
        read_by = manifest.get("tokenizer", "")  # likewise
        ids = TokenIdFile.load(folder / _TOKEN_IDS, read_by) if read_by else None
        info = IndexInfo(
            name=self._index,
            version=manifest["version"],
            documents=documents.num_rows,
            encoder=manifest["encoder"],
            dimensions=manifest["dimensions"],
            vector_search=vectors.kind,
            vector_recall=vectors.recall,
            updated_at=datetime.fromisoformat(manifest["updated_at"]),
            token_vectors=made_by,
            token_vector_bytes_per_document=tokens.bytes_per_document if tokens else 0.0,
            tokenizer=read_by,
            token_id_bytes_per_document=ids.bytes_per_document if ids else 0.0,
        )
        lexical = Lexical.load(folder / "lexical", documents.num_rows)
        return Snapshot(info, folder, documents, lexical, vectors, tokens, ids)

    def _drop_old(self, newest: int) -> None:
        versions = sorted(int(path.name) for path in self._root.iterdir() if path.name.isdigit())
        keep = [version for version in versions if version <= newest][-_KEEP:]
        for version in set(versions) - set(keep):
            remove_folder(self._root / str(version))


def _matrix(column: pa.ChunkedArray, dimensions: int) -> Any:
    """Vectors (n, dimensions), float32, from a column of fixed-size lists."""
    chunks = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
    flat = np.concatenate(chunks) if chunks else np.zeros(0, dtype=np.float32)
    return np.ascontiguousarray(flat.reshape(-1, dimensions), dtype=np.float32)


def _checksums(folder: Path) -> dict[str, list[int]]:
    """Size and CRC-32 of every file but the manifest."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.json")
    return {str(path.relative_to(folder)): [path.stat().st_size, _crc(path)] for path in files}


def _crc(path: Path) -> int:
    total = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            total = zlib.crc32(block, total)
    return total

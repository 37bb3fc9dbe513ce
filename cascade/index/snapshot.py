"""One version of an index, whole and unchanging: what searches read."""

from __future__ import annotations

import bisect
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cascade.filters import Filter
from cascade.index.columns import Columns
from cascade.index.info import IndexInfo, Vectors
from cascade.index.lexical import Lexical
from cascade.index.token_ids import SnapshotTokenIds, TokenIdFile
from cascade.index.token_vectors import SnapshotTokenVectors, TokenVectorFile
from cascade.index.topk import Doubles, Floats, Mask, Rows
from cascade.index.vectors import Predecessor, VectorSearch
from cascade.types import Document

if TYPE_CHECKING:
    import pyarrow as pa


class Snapshot:
    """Immutable: rows are documents sorted by id, and row i is the same document in every part.

    Everything is in memory or mapped from files, so a snapshot outlives later versions and even the index. Methods may
    run in several threads at once.
    """

    def __init__(
        self,
        info: IndexInfo,
        folder: Path,
        documents: pa.Table,
        lexical: Lexical,
        vectors: VectorSearch,
        tokens: TokenVectorFile | None = None,
        token_ids: TokenIdFile | None = None,
    ) -> None:
        self.info = info
        self.folder = folder
        self._documents = documents
        self._doc_ids: list[str] = documents["id"].to_pylist()
        self.lexical = lexical
        self._vectors = vectors
        self._tokens = tokens
        self.token_id_file = token_ids

    @property
    def doc_ids(self) -> Sequence[str]:
        """All documents, sorted."""
        return self._doc_ids

    def bm25(self, query: str, depth: int, where: Filter | None) -> list[tuple[str, float]]:
        """The best `depth` documents that meet `where` and share a term with `query`; scores are above zero."""
        return self._named(*self.lexical.search(query, depth, self._allowed(where)))

    def dense(self, vector: Vectors, depth: int, where: Filter | None) -> list[tuple[str, float]]:
        """The best `depth` documents that meet `where`, by inner product of their vectors with `vector` (d,)."""
        if vector.shape != (self.info.dimensions,):
            raise ValueError(f"the query vector has shape {vector.shape}, expected ({self.info.dimensions},)")
        return self._named(*self._vectors.search(vector, depth, self._allowed(where)))

    def fetch(self, doc_ids: Sequence[str]) -> dict[str, Document]:
        """The documents of `doc_ids` that are here, by id."""
        return {doc_id: self._document(row) for doc_id in doc_ids if (row := self._row(doc_id)) is not None}

    def __contains__(self, doc_id: str) -> bool:
        return self._row(doc_id) is not None

    def vectors(self, doc_ids: Sequence[str]) -> Vectors:
        """The vectors of documents that are here, float32 (n, d)."""
        rows = [row for doc_id in doc_ids if (row := self._row(doc_id)) is not None]
        return self._vectors.vectors(np.array(rows, dtype=np.int64))

    @property
    def token_vectors(self) -> SnapshotTokenVectors | None:
        """The documents' token vectors, where the index has them."""
        return SnapshotTokenVectors(self.info.token_vectors, self._tokens, self._row) if self._tokens else None

    @property
    def token_ids(self) -> SnapshotTokenIds | None:
        """The documents' token ids, where the index has them."""
        return SnapshotTokenIds(self.token_id_file, self._row) if self.token_id_file else None

    @property
    def predecessor(self) -> Predecessor:
        """What the next version may reuse."""
        return Predecessor(self._vectors, self._doc_ids, self.folder / "vectors")

    def unchanged(self, doc_ids: Sequence[str], passages: Sequence[str]) -> Rows:
        """For every document the row that has its id and its passage here, or -1; int64 (n,)."""
        here = {doc_id: row for row, doc_id in enumerate(self._doc_ids)}
        old = passages_of(self._documents)
        rows = [here.get(doc_id, -1) for doc_id in doc_ids]
        same = [row >= 0 and old[row] == passage for row, passage in zip(rows, passages, strict=True)]
        return np.where(same, rows, -1).astype(np.int64)

    @cached_property
    def _columns(self) -> Columns:
        return Columns([json.loads(text) for text in self._documents["metadata"].to_pylist()])

    def _allowed(self, where: Filter | None) -> Mask | None:
        return None if where is None else self._columns.mask(where)

    def _named(self, rows: Rows, scores: Floats | Doubles) -> list[tuple[str, float]]:
        return [(self._doc_ids[row], score) for row, score in zip(rows.tolist(), scores.tolist(), strict=True)]

    def _row(self, doc_id: str) -> int | None:
        row = bisect.bisect_left(self._doc_ids, doc_id)
        return row if row < len(self._doc_ids) and self._doc_ids[row] == doc_id else None

    def _document(self, row: int) -> Document:
        doc_id, title, text, metadata = (column[row].as_py() for column in self._documents.columns)
        return Document(doc_id, text, title, json.loads(metadata))


def passages_of(documents: pa.Table) -> list[str]:
    """What is indexed of every row of `documents`: as `Document.passage`."""
    titles, texts = documents["title"].to_pylist(), documents["text"].to_pylist()
    return [f"{title}\n{text}" if title else text for title, text in zip(titles, texts, strict=True)]

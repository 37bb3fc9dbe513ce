"""Nearest vectors of one version, in FAISS: exact while few; beyond, by codes, with newcomers exact beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cascade.index.approximate import Approximate
from cascade.index.codes import GRAPH_FROM
from cascade.index.flat import bitmap, flat_search, load_faiss, stored_vectors
from cascade.index.info import Vectors
from cascade.index.topk import Floats, Mask, Rows, best

FLAT_LIMIT = 50_000
"""Vectors that are searched exactly; more are searched by their codes."""
_DRIFT = 0.1  # of all rows: how much may change before all codes are made anew


@dataclass(frozen=True, slots=True)
class VectorSearch:
    """Immutable: every row is in `flat` at the place `flat_rows` names, or in `approximate` where `coded_rows` does.

    A place of `approximate` whose document has gone or changed holds -1, is false in `alive`, and is never returned;
    `alive` is None when there is no such place.
    """

    flat: Any
    flat_rows: Rows
    approximate: Approximate | None
    coded_rows: Rows
    alive: Mask | None

    @property
    def kind(self) -> str:
        """How most vectors are searched."""
        return self.approximate.codes.kind if self.approximate else "flat"

    @property
    def recall(self) -> float:
        """Recall at 100 against exact search, measured when the codes were made."""
        return self.approximate.recall if self.approximate else 1.0

    @staticmethod
    def build(
        vectors: Vectors,
        doc_ids: Sequence[str],
        folder: Path,
        before: Predecessor | None,
        flat_limit: int,
        graph_from: int = GRAPH_FROM,
    ) -> None:
        """Write what `load` reads for `vectors` (n, d), whose rows are `doc_ids`, sorted.

        The codes of `before` are kept, as links to their files, while no more than a tenth of the rows are not in them.
        """
        faiss = load_faiss()
        folder.mkdir()
        coded_rows = np.zeros(0, dtype=np.int64)
        kept = before.places(vectors, doc_ids) if before and len(doc_ids) > flat_limit else None
        if kept is not None and before is not None and before.search.approximate is not None:
            coded_rows = kept
            before.search.approximate.save_again(folder, before.folder)
        elif len(doc_ids) > flat_limit:
            coded_rows = np.arange(len(doc_ids), dtype=np.int64)
            Approximate.build("ivf" if len(doc_ids) < graph_from else "hnsw", vectors).save(folder)
        else:
            Approximate.save_none(folder)
        flat_rows = np.setdiff1d(np.arange(len(doc_ids), dtype=np.int64), coded_rows)
        flat = faiss.IndexFlatIP(vectors.shape[1])
        flat.add(np.ascontiguousarray(vectors[flat_rows]))
        faiss.write_index(flat, str(folder / "flat.faiss"))
        np.savez(folder / "rows.npz", flat=flat_rows, coded=coded_rows)

    @staticmethod
    def load(folder: Path) -> VectorSearch:
        """Read what `build` wrote."""
        flat = load_faiss().read_index(str(folder / "flat.faiss"))
        with np.load(folder / "rows.npz") as rows:
            flat_rows, coded_rows = rows["flat"], rows["coded"]
        alive = coded_rows >= 0
        return VectorSearch(flat, flat_rows, Approximate.load(folder), coded_rows, None if alive.all() else alive)

    def search(self, query: Vectors, depth: int, allowed: Mask | None) -> tuple[Rows, Floats]:
        """The `depth` of the `allowed` rows whose vectors are nearest to `query` (d,), best first."""
        query = np.ascontiguousarray(query, dtype=np.float32)
        places, scores = flat_search(
            self.flat, query, depth, None if allowed is None else bitmap(allowed[self.flat_rows])
        )
        rows = self.flat_rows[places]
        if self.approximate:
            coded_places, coded_scores = self.approximate.search(query, depth, self._coded(allowed))
            rows = np.concatenate([rows, self.coded_rows[coded_places]])
            scores = np.concatenate([scores, coded_scores])
        return best(scores, rows, depth)

    def _coded(self, allowed: Mask | None) -> Mask | None:
        """Which places of `approximate` are `allowed`; None when all are."""
        if allowed is None:
            return self.alive
        there = allowed[self.coded_rows]
        return there if self.alive is None else there & self.alive

    def vectors(self, rows: Rows) -> Vectors:
        """The vectors of `rows`, float32 (rows, d)."""
        total = len(self.flat_rows) + len(self.coded_rows)
        stored, where = stored_vectors(self.flat), np.full(total, -1, dtype=np.int64)
        where[self.flat_rows] = np.arange(len(self.flat_rows))
        found = np.empty((len(rows), self.flat.d), dtype=np.float32)
        in_flat = where[rows] >= 0
        found[in_flat] = stored[where[rows[in_flat]]]
        if self.approximate:
            alive = np.flatnonzero(self.coded_rows >= 0)
            where[self.coded_rows[alive]] = alive
            found[~in_flat] = self.approximate.vectors[where[rows[~in_flat]]]
        return found


@dataclass(frozen=True, slots=True)
class Predecessor:
    """The vector search of the version before, the documents of its rows, sorted, and its folder."""

    search: VectorSearch
    doc_ids: Sequence[str]
    folder: Path

    def places(self, vectors: Vectors, doc_ids: Sequence[str]) -> Rows | None:
        """For every place of the codes the row of `doc_ids` that has its vector now, or -1; None when too few do."""
        approximate = self.search.approximate
        if approximate is None:
            return None
        old = np.asarray(self.search.coded_rows)
        row_of = {doc_id: row for row, doc_id in enumerate(doc_ids)}
        moved = np.array([row_of.get(doc_id, -1) for doc_id in self.doc_ids], dtype=np.int64)
        now = np.where(old >= 0, moved[old], -1)
        alive = np.flatnonzero(now >= 0)
        now[alive[~approximate.same(alive, vectors, now[alive])]] = -1
        kept = int(np.count_nonzero(now >= 0))
        drifted = len(doc_ids) - kept + len(now) - kept
        return now if drifted <= _DRIFT * len(doc_ids) else None

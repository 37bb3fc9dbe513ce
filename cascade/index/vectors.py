"""Nearest vectors of one version, in FAISS: exact while few; beyond, on a graph, with newcomers exact beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cascade.index.graph import Graph, bitmap, flat_search, load_faiss, stored_vectors
from cascade.index.info import Vectors
from cascade.index.topk import Floats, Mask, Rows, best

FLAT_LIMIT = 50_000
"""Vectors that are searched exactly; more are put on a graph."""
_DRIFT = 0.1  # of all rows: how much may change before the graph is built anew


@dataclass(frozen=True, slots=True)
class VectorSearch:
    """Immutable: every row is in `flat` at the place that `flat_rows` names, or in `graph` where `graph_rows` does.

    A place of the graph whose document has gone or changed holds -1 and is never returned.
    """

    flat: Any
    flat_rows: Rows
    graph: Graph | None
    graph_rows: Rows

    @property
    def kind(self) -> str:
        """How most vectors are searched."""
        return "hnsw" if self.graph else "flat"

    @property
    def recall(self) -> float:
        """Recall at 100 against exact search, measured when the graph was built."""
        return self.graph.recall if self.graph else 1.0

    @staticmethod
    def build(
        vectors: Vectors, doc_ids: Sequence[str], folder: Path, before: Predecessor | None, flat_limit: int
    ) -> None:
        """Write what `load` reads for `vectors` (n, d), whose rows are `doc_ids`, sorted.

        The graph of `before` is kept, as a link to its file, while no more than a tenth of the rows are not in it.
        """
        faiss = load_faiss()
        folder.mkdir()
        graph, graph_rows = None, np.zeros(0, dtype=np.int64)
        if len(doc_ids) > flat_limit:
            kept = before.places(vectors, doc_ids) if before else None
            if kept is not None and before is not None and before.search.graph is not None:
                graph, graph_rows = before.search.graph, kept
                _link_or_save(before.folder / "graph.faiss", folder / "graph.faiss", graph)
            else:
                graph, graph_rows = Graph.build(vectors), np.arange(len(doc_ids), dtype=np.int64)
                graph.save(folder / "graph.faiss")
        flat_rows = np.setdiff1d(np.arange(len(doc_ids), dtype=np.int64), graph_rows)
        flat = faiss.IndexFlatIP(vectors.shape[1])
        flat.add(np.ascontiguousarray(vectors[flat_rows]))
        faiss.write_index(flat, str(folder / "flat.faiss"))
        np.savez(folder / "rows.npz", flat=flat_rows, graph=graph_rows)
        facts = {"width": graph.width, "recall": graph.recall} if graph else None
        (folder / "graph.json").write_text(json.dumps(facts), encoding="utf-8")

    @staticmethod
    def load(folder: Path) -> VectorSearch:
        """Read what `build` wrote."""
        faiss = load_faiss()
        facts = json.loads((folder / "graph.json").read_text(encoding="utf-8"))
        graph = Graph.load(folder / "graph.faiss", **facts) if facts else None
        with np.load(folder / "rows.npz") as rows:
            return VectorSearch(faiss.read_index(str(folder / "flat.faiss")), rows["flat"], graph, rows["graph"])

    def search(self, query: Vectors, depth: int, allowed: Mask | None) -> tuple[Rows, Floats]:
        """The `depth` of the `allowed` rows whose vectors are nearest to `query` (d,), best first."""
        query = np.ascontiguousarray(query, dtype=np.float32)
        places, scores = flat_search(
            self.flat, query, depth, None if allowed is None else bitmap(allowed[self.flat_rows])
        )
        rows = self.flat_rows[places]
        if self.graph:
            there = self.graph_rows >= 0
            if allowed is not None:
                there &= allowed[self.graph_rows]
            graph_places, graph_scores = self.graph.search(query, depth, None if there.all() else there)
            rows = np.concatenate([rows, self.graph_rows[graph_places]])
            scores = np.concatenate([scores, graph_scores])
        return best(scores, rows, depth)

    def vectors(self, rows: Rows) -> Vectors:
        """The vectors of `rows`, float32 (rows, d)."""
        total = len(self.flat_rows) + len(self.graph_rows)
        stored, where = stored_vectors(self.flat), np.full(total, -1, dtype=np.int64)
        where[self.flat_rows] = np.arange(len(self.flat_rows))
        found = np.empty((len(rows), self.flat.d), dtype=np.float32)
        in_flat = where[rows] >= 0
        found[in_flat] = stored[where[rows[in_flat]]]
        if self.graph:
            alive = np.flatnonzero(self.graph_rows >= 0)
            where[self.graph_rows[alive]] = alive
            found[~in_flat] = self.graph.vectors[where[rows[~in_flat]]]
        return found


@dataclass(frozen=True, slots=True)
class Predecessor:
    """The vector search of the version before, the documents of its rows, sorted, and its folder."""

    search: VectorSearch
    doc_ids: Sequence[str]
    folder: Path

    def places(self, vectors: Vectors, doc_ids: Sequence[str]) -> Rows | None:
        """For every place of the graph the row among `doc_ids` that has its vector now, or -1; None when too few do."""
        if self.search.graph is None:
            return None
        old = np.asarray(self.search.graph_rows)
        row_of = {doc_id: row for row, doc_id in enumerate(doc_ids)}
        moved = np.array([row_of.get(doc_id, -1) for doc_id in self.doc_ids], dtype=np.int64)
        now = np.where(old >= 0, moved[old], -1)
        alive = np.flatnonzero(now >= 0)
        same = np.all(self.search.graph.vectors[alive] == vectors[now[alive]], axis=1)
        now[alive[~same]] = -1
        kept = int(np.count_nonzero(now >= 0))
        drifted = len(doc_ids) - kept + len(now) - kept
        return now if drifted <= _DRIFT * len(doc_ids) else None


def _link_or_save(source: Path, target: Path, graph: Graph) -> None:
    """A graph takes most of an index's disk: versions share its file where the file system can."""
    try:
        os.link(source, target)
    except OSError:
        graph.save(target)

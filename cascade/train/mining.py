"""Finds what a collection's own index ranks first for a question: hard negatives, and what is taught with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cascade.errors import NotFoundError
from cascade.fuse.rrf import RrfFuser
from cascade.index.info import Vectors
from cascade.index.store import IndexStore
from cascade.train.data import Collection, Similarity
from cascade.types import Document, Ranking

_INDEX = "mining"


def mine(
    collection: Collection, query_ids: Sequence[str], similarity: Similarity, folder: Path, *, depth: int
) -> dict[str, Ranking]:
    """The best `depth` documents of each question by BM25 and by vectors, fused by reciprocal rank.

    The index is made in `folder` unless it is there; its vectors are those of `similarity`.
    """
    store = IndexStore(folder, lambda _: _Known(collection, similarity))
    try:
        store.open(_INDEX)
    except NotFoundError:
        store.create(_INDEX, _Known.reference)
    index = store.open(_INDEX)
    index.upsert([Document(doc_id, text) for doc_id, text in collection.texts.items()])
    fuser = RrfFuser()
    mined = {}
    for query_id in query_ids:
        text, vector = collection.queries[query_id], similarity.queries[similarity.query_rows[query_id]]
        found = {
            "bm25": index.snapshot.bm25(text, depth, None),
            "dense": index.snapshot.dense(vector.astype(np.float32), depth, None),
        }
        rankings = {name: Ranking.from_scores(scores, name) for name, scores in found.items()}
        mined[query_id] = fuser.fuse(rankings).head(depth)
    store.close()
    return mined


class _Known:
    """Gives the vectors that were computed already, by passage."""

    reference = "known vectors"

    def __init__(self, collection: Collection, similarity: Similarity) -> None:
        self._rows = {text: row for row, text in enumerate(collection.texts.values())}
        self._vectors = similarity.documents

    @property
    def dimensions(self) -> int:
        return int(self._vectors.shape[1])

    def encode_documents(self, passages: Sequence[str]) -> Vectors:
        return self._vectors[[self._rows[passage] for passage in passages]].astype(np.float32)

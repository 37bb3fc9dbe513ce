"""Reranks the head of BM25's ranking on a judged split, to see whether a model being trained helps."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cascade.evaluate import beir
from cascade.index.lexical import Lexical
from cascade.train.data import Collection, read_collection
from cascade.types import Ranking

Score = Callable[[Sequence[tuple[str, str]]], Sequence[float]]
"""(query, passage) pairs to one score each."""


@dataclass(frozen=True, slots=True)
class Development:
    """A judged split to measure on while training: BM25's best `depth` documents of `sample` questions."""

    folder: Path
    split: str = "test"
    depth: int = 20
    sample: int = 100
    every_steps: int = 300

    def load(self) -> DevelopmentSet:
        """Its questions, with BM25's best documents."""
        return DevelopmentSet.load(self.folder, self.split, depth=self.depth, sample=self.sample)


@dataclass(frozen=True, slots=True)
class DevelopmentSet:
    """Judged questions of one split, each with BM25's best documents."""

    collection: Collection
    qrels: Mapping[str, Mapping[str, int]]
    heads: Mapping[str, Ranking]

    @staticmethod
    def load(folder: Path, split: str, *, depth: int, sample: int | None = None, seed: int = 0) -> DevelopmentSet:
        """Reads the split and ranks with BM25; `sample` keeps that many questions, drawn with `seed`."""
        collection = read_collection(folder)
        qrels = beir.qrels(folder / beir.QRELS / f"{split}.tsv", collection.queries)
        query_ids = sorted(qrels)
        if sample is not None and sample < len(query_ids):
            query_ids = sorted(random.Random(seed).sample(query_ids, sample))
        heads = bm25_heads(collection, query_ids, depth)
        return DevelopmentSet(collection, {query_id: qrels[query_id] for query_id in query_ids}, heads)

    def rerank(self, score: Score) -> dict[str, Ranking]:
        """Every head in the order of `score`, under its question's id."""
        pairs = [
            (self.collection.queries[query_id], self.collection.texts[candidate.doc_id])
            for query_id, head in self.heads.items()
            for candidate in head
        ]
        scores = iter([float(value) for value in score(pairs)])
        return {
            query_id: Ranking.from_scores([(c.doc_id, next(scores)) for c in head], "development")
            for query_id, head in self.heads.items()
        }

    def ndcg(self, rankings: Mapping[str, Ranking]) -> dict[str, float]:
        """nDCG@10 of every question, by ir-measures."""
        import ir_measures

        run = {q: {c.doc_id: -float(c.rank) for c in ranking} for q, ranking in rankings.items()}
        qrels = {q: dict(grades) for q, grades in self.qrels.items()}
        measured = ir_measures.iter_calc([ir_measures.nDCG @ 10], qrels, run)
        found = {metric.query_id: float(metric.value) for metric in measured}
        return {query_id: found.get(query_id, 0.0) for query_id in self.qrels}


def bm25_heads(collection: Collection, query_ids: Sequence[str], depth: int) -> dict[str, Ranking]:
    """BM25's best `depth` documents of every question, by the scores that an index of the collection gives."""
    doc_ids = sorted(collection.texts)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "lexical"
        passages = [collection.texts[doc_id] for doc_id in doc_ids]
        Lexical.build(passages, folder, None, np.full(len(passages), -1, dtype=np.int64))
        lexical = Lexical.load(folder, len(passages))
        heads = {}
        for query_id in query_ids:
            rows, scores = lexical.search(collection.queries[query_id], depth, None)
            found = zip(rows.tolist(), scores.tolist(), strict=True)
            heads[query_id] = Ranking.from_scores([(doc_ids[row], score) for row, score in found], "bm25")
    return heads

"""Reranks the head of BM25's ranking on a judged split, to see whether a model being trained helps."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cascade.errors import InvalidInputError, Violation
from cascade.train.data import Collection, read_collection, read_qrels
from cascade.types import Ranking

Score = Callable[[Sequence[tuple[str, str]]], Sequence[float]]
"""(query, passage) pairs to one score each."""


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
        qrels = read_qrels(folder, split)
        query_ids = sorted(qrels)
        unknown = [query_id for query_id in query_ids if query_id not in collection.queries]
        if unknown:
            message = f"question {unknown[0]!r} is not in queries.jsonl: add it"
            raise InvalidInputError([Violation(str(folder / "qrels" / f"{split}.tsv"), message)])
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
    """BM25's best `depth` documents of every question, over stemmed passages without stop words."""
    import bm25s
    import Stemmer

    stemmer = Stemmer.Stemmer("english")
    doc_ids = list(collection.texts)

    def tokens(texts: list[str]) -> list[list[str]]:
        tokenised = bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, return_ids=False, show_progress=False)
        return [list(words) for words in tokenised]

    retriever = bm25s.BM25()
    retriever.index(tokens(list(collection.texts.values())), show_progress=False)
    queries = tokens([collection.queries[query_id] for query_id in query_ids])
    found, scores = retriever.retrieve(queries, k=min(depth, len(doc_ids)), show_progress=False)
    return {
        query_id: Ranking.from_scores(
            [(doc_ids[int(row)], float(value)) for row, value in zip(rows, values, strict=True)], "bm25"
        )
        for query_id, rows, values in zip(query_ids, found, scores, strict=True)
    }

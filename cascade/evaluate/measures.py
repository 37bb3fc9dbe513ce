"""Scores rankings against judgments, one value per query, with the field's own implementation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

MEASURES = ("nDCG@10", "R@100", "P@10", "RR@10", "AP")
"""Taken of every stage; the first is the one that stages are compared by."""

_NAMES = {"right": "P@1"}
"""What ir_measures calls a measure that has a plainer name: the share of queries whose first document is relevant."""

Run = Mapping[str, Sequence[str]]
"""What one stage ranked: doc_ids by query id, best first."""

Qrels = Mapping[str, Mapping[str, int]]
"""Grades by query id and doc_id; above 0 is relevant."""


def score(run: Run, qrels: Qrels, measures: Sequence[str] = MEASURES) -> dict[str, NDArray[np.float64]]:
    """Each of `measures` of `run`, shape (queries,) in the order of `qrels`; a query without a ranking scores 0.

    As trec_eval does it: nDCG with linear gains, and documents without a judgment count as not relevant.
    """
    import ir_measures

    row = {query_id: place for place, query_id in enumerate(qrels)}
    values = {name: np.zeros(len(row)) for name in measures}
    names = {ir_measures.parse_measure(_NAMES.get(name, name)): name for name in measures}
    # Rank is the truth and trec_eval sorts by score, so the score given to it is the negative rank.
    scores = {q: {doc_id: -float(rank) for rank, doc_id in enumerate(run.get(q, ()))} for q in qrels}
    ranked = {q: by_doc for q, by_doc in scores.items() if by_doc}
    judged = {q: dict(grades) for q, grades in qrels.items()}
    for metric in ir_measures.iter_calc(list(names), judged, ranked):
        values[names[metric.measure]][row[metric.query_id]] = metric.value
    return values


def recall(run: Run, qrels: Qrels, depth: int) -> NDArray[np.float64]:
    """The share of each query's relevant documents among the first `depth`, shape (queries,): R@depth."""
    return np.array([_share(grades, run.get(query_id, ())[:depth]) for query_id, grades in qrels.items()])


def without(run: Run, excluded: Mapping[str, frozenset[str]]) -> dict[str, tuple[str, ...]]:
    """`run` without the documents that are excluded for their query; those below move up."""
    return {q: tuple(d for d in doc_ids if d not in excluded.get(q, ())) for q, doc_ids in run.items()}


def _share(grades: Mapping[str, int], doc_ids: Sequence[str]) -> float:
    relevant = {doc_id for doc_id, grade in grades.items() if grade > 0}
    return len(relevant.intersection(doc_ids)) / len(relevant) if relevant else 0.0

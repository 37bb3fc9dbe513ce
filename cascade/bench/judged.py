"""nDCG@10 of several scorers of the same candidates, on development collections, a bounded sample of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cascade.bench.measure import Goal
from cascade.bench.result import Check

Scorer = Callable[[str, Sequence[str]], Sequence[float]]
"""Of a query and passages, a score for each."""

LOSS = Goal(floor=0.002, aim=0.0)
"""Of nDCG@10, at most."""
_MEASURE = "nDCG@10"


@dataclass(frozen=True, slots=True)
class Judged:
    """A collection of a folder of several, and which `queries` of it to take, each with at most `depth` candidates.

    Those are the first of a run, or all that were judged where there is none.
    """

    folder: str
    split: str
    run: str | None
    queries: int
    depth: int


SETS = (
    Judged("msmarco-v2-dl21-dl22-dl23", "qrels_full/dl21.tsv", "runs/dl21.bm25.trec", queries=20, depth=60),
    Judged("wikiqa", "test", None, queries=120, depth=100),
)


def losses(
    root: Path, scorers: Mapping[str, Scorer], reference: str, *, queries: int | None, seed: int
) -> tuple[dict[str, Any], list[Check], list[str]]:
    """What each scorer reaches, how much less than `reference` as checks, and notes on collections that are not there.

    `queries` is how many to take of each at most.
    """
    found: dict[str, Any] = {}
    checks: list[Check] = []
    notes: list[str] = []
    for one in SETS:
        if not (root / one.folder).is_dir():
            notes.append(f"{one.folder} is not in the folder of collections; quality was not measured on it")
            continue
        values = _values(root / one.folder, one, scorers, queries, seed)
        name = f"{one.folder} {Path(one.split).stem}"
        found[name] = {"queries": len(values[reference]), **{s: float(v.mean()) for s, v in values.items()}}
        checks += [_check(name, s, values[reference] - v, seed) for s, v in values.items() if s != reference]
    return found, checks, notes


def tau(scores: Sequence[Sequence[float]], others: Sequence[Sequence[float]]) -> float:
    """The mean of Kendall's tau-b (Kendall, 1945) over queries, of two scorers' scores of the same passages."""
    from scipy.stats import kendalltau

    each = [float(kendalltau(a, b).statistic) for a, b in zip(scores, others, strict=True)]
    return float(np.mean(each))


def _check(name: str, scorer: str, differences: np.ndarray[Any, np.dtype[np.float64]], seed: int) -> Check:
    from cascade.evaluate.significance import interval

    lost = interval(differences, seed=seed)
    title = f"{_MEASURE} lost on {name}, {scorer}"
    return Check(title, lost.mean, LOSS, "less", "", lost.low, lost.high)


def _values(
    folder: Path, one: Judged, scorers: Mapping[str, Scorer], queries: int | None, seed: int
) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    from cascade.evaluate.candidates import judged_documents, read_run, with_judged, with_run
    from cascade.evaluate.collection import read
    from cascade.evaluate.measures import score

    if one.run is None:
        collection = with_judged(read(folder, one.split, judged_documents), seed)
    else:
        collection = with_run(read(folder, one.split), read_run(folder / one.run, one.depth))
    collection = collection.sample(min(one.queries, queries or one.queries), seed)
    assert collection.candidates is not None
    texts = {document.doc_id: document.passage for document in collection.documents}
    runs: dict[str, dict[str, list[str]]] = {name: {} for name in scorers}
    for query_id, doc_ids in collection.candidates.by_query.items():
        known = [doc_id for doc_id in doc_ids if doc_id in texts][: one.depth]
        if query_id not in collection.queries or not known:
            continue
        for name, scorer in scorers.items():
            scores = scorer(collection.queries[query_id], [texts[doc_id] for doc_id in known])
            order = sorted(zip(known, scores, strict=True), key=lambda pair: (-pair[1], pair[0]))
            runs[name][query_id] = [doc_id for doc_id, _ in order]
    return {name: score(run, collection.qrels, (_MEASURE,))[_MEASURE] for name, run in runs.items()}

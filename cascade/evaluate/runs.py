"""Rebuilds what every stage ranked from the answers to a collection's queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

FUSERS = frozenset({"rrf", "weighted"})


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage as the server describes it: `depth` is how many candidates it passes on or reranks."""

    name: str
    kind: str
    depth: int


@dataclass(frozen=True, slots=True)
class StageCost:
    """What a stage spent on one query, and how it ended; `seconds` is its run time.

    `scored` are the candidates that a model read, fewer than `candidates` when a tier could stop early; `repairs` are
    the documents that a listwise model's output had to be put right about.
    """

    status: str
    candidates: int
    tokens: int
    seconds: float
    scored: int = 0
    repairs: int = 0


@dataclass(frozen=True, slots=True)
class Observation:
    """What the answer to one query tells of every stage: ranks by stage and doc_id, and costs by stage.

    A query that the server could not answer in time has neither.
    """

    ranks: Mapping[str, Mapping[str, int]]
    costs: Mapping[str, StageCost]
    degraded: bool = False
    unanswered: bool = False


def rebuild(stages: Sequence[Stage], observations: Mapping[str, Observation]) -> dict[str, dict[str, tuple[str, ...]]]:
    """Every stage's run: what a caller would have got, had the cascade ended after it: doc_ids by query.

    A retriever stands for itself. A tier's documents are followed by those that it did not rank, in the
    order they had; a tier that did not complete leaves the order as it was.
    """
    runs: dict[str, dict[str, tuple[str, ...]]] = {stage.name: {} for stage in stages}
    tiers = {stage.name for stage in stages[_fuser_position(stages) + 1 :]}
    for query_id, observation in observations.items():
        order: tuple[str, ...] = ()
        for stage in stages:
            ranks = observation.ranks.get(stage.name, {})
            own = tuple(sorted(ranks, key=ranks.__getitem__))
            rest = order if stage.name in tiers else ()
            order = own + tuple(doc_id for doc_id in rest if doc_id not in ranks)
            runs[stage.name][query_id] = order
    return runs


def write(runs: Mapping[str, Mapping[str, Sequence[str]]], folder: Path, tag: str) -> list[Path]:
    """Write `STAGE.trec` for every stage: query, Q0, document, rank, score (the negative rank), tag."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for stage, run in runs.items():
        path = folder / f"{stage}.trec"
        with path.open("w", encoding="utf-8") as file:
            for query_id, doc_ids in run.items():
                for rank, doc_id in enumerate(doc_ids, start=1):
                    file.write(f"{query_id} Q0 {doc_id} {rank} {-rank} {tag}-{stage}\n")
        paths.append(path)
    return paths


def _fuser_position(stages: Sequence[Stage]) -> int:
    return next((place for place, stage in enumerate(stages) if stage.kind in FUSERS), -1)

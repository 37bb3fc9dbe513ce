"""The values that flow through a cascade: documents, queries, candidates and rankings."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, repeat
from operator import itemgetter
from typing import NamedTuple

from cascade.filters import Filter

MetadataValue = str | int | float | bool

_NO_FACTS: Mapping[str, MetadataValue] = {}
_doc_id, _score = itemgetter(0), itemgetter(1)


# Documents and candidates are made by the hundred for a request, and frozen dataclasses take thrice as long to make.


class Document(NamedTuple):
    """A text that can be ranked, with the facts that filters may ask about."""

    doc_id: str
    text: str
    title: str = ""
    metadata: Mapping[str, MetadataValue] = _NO_FACTS

    @property
    def passage(self) -> str:
        """What every stage reads, BM25 and models alike: the title on its own line, then the text."""
        return f"{self.title}\n{self.text}" if self.title else self.text


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked, and which documents may answer."""

    text: str
    where: Filter | None = None


class Candidate(NamedTuple):
    """A document's place in one ranking.

    `rank` is the truth; `score` is native to the stage `scored_by` and is never compared across stages. `model_score`
    is what that stage's model gave, before any blend, and `probability` the chance of relevance by the last calibrated
    tier that scored it; None where there is no such thing. `text` is the document's passage once a tier needs it.
    """

    doc_id: str
    score: float
    rank: int
    scored_by: str
    text: str | None = None
    model_score: float | None = None
    probability: float | None = None


@dataclass(frozen=True, slots=True)
class Ranking:
    """Candidates in order: ranks run from 1 without gaps and no document stands twice."""

    candidates: tuple[Candidate, ...] = ()

    def __post_init__(self) -> None:
        for expected, candidate in enumerate(self.candidates, start=1):
            if candidate.rank != expected:
                raise ValueError(f"candidate {candidate.doc_id!r} has rank {candidate.rank}, expected {expected}")
        _check_unique(self.doc_ids)

    @staticmethod
    def from_scores(scores: Iterable[tuple[str, float]], scored_by: str) -> Ranking:
        """Order documents by score, best first, and by doc_id where scores are equal; the only sort in a cascade.

        Raises ValueError for a score that is not finite.
        """
        pairs = list(scores)
        values = list(map(_score, pairs))
        if not all(map(math.isfinite, values)):
            doc_id, score = next((d, s) for d, s in pairs if not math.isfinite(s))
            raise ValueError(
                f"stage {scored_by!r} gave document {doc_id!r} the score {score}, expected a finite number"
            )
        if len(set(values)) < len(values):
            pairs.sort(key=_doc_id)  # which the next sort keeps among equals: a key of both for each pair costs more
        pairs.sort(key=_score, reverse=True)
        ids = list(map(_doc_id, pairs))
        _check_unique(ids)
        return _sound(tuple(map(Candidate, ids, map(_score, pairs), count(1), repeat(scored_by))))

    def head(self, count: int) -> Ranking:
        """The first `count` candidates, or all when there are fewer."""
        return self if count >= len(self.candidates) else _sound(self.candidates[:count])

    def with_model(self, scores: Mapping[str, float], probabilities: Mapping[str, float | None]) -> Ranking:
        """The same ranking, with the model's own scores attached, and the chances of relevance where they are known."""
        chance = probabilities.get
        return _sound(
            tuple(
                Candidate(d, score, rank, by, text, scores[d], chance(d))
                for d, score, rank, by, text, _, _ in self.candidates
            )
        )

    def of(self, doc_ids: Iterable[str]) -> Ranking:
        """Only the candidates of `doc_ids`, in the order they have here, renumbered."""
        wanted = set(doc_ids)
        kept = (c for c in self.candidates if c.doc_id in wanted)
        return Ranking(tuple(_at(c, r) for r, c in enumerate(kept, start=1)))

    def followed_by(self, rest: Iterable[Candidate]) -> Ranking:
        """This ranking with `rest` below it in the order given, renumbered; each keeps its score and `scored_by`."""
        start = len(self.candidates) + 1
        return Ranking(self.candidates + tuple(_at(c, r) for r, c in enumerate(rest, start=start)))

    def with_text(self, texts: Mapping[str, str]) -> Ranking:
        """The same ranking, with the passages of `texts` attached where they are known."""
        found = texts.get
        return _sound(
            tuple(
                Candidate(d, score, rank, by, found(d, text), model_score, probability)
                for d, score, rank, by, text, model_score, probability in self.candidates
            )
        )

    @property
    def doc_ids(self) -> Sequence[str]:
        """The documents, best first."""
        return [c.doc_id for c in self.candidates]

    def __len__(self) -> int:
        return len(self.candidates)

    def __iter__(self) -> Iterator[Candidate]:
        return iter(self.candidates)


def _check_unique(doc_ids: Sequence[str]) -> None:
    if len(set(doc_ids)) != len(doc_ids):
        raise ValueError("a ranking holds each document once, found a repeated doc_id")


def _sound(candidates: tuple[Candidate, ...]) -> Ranking:
    """The ranking of candidates that are known to keep the invariant, which goes through all of them otherwise."""
    ranking = object.__new__(Ranking)
    object.__setattr__(ranking, "candidates", candidates)
    return ranking


def _at(candidate: Candidate, rank: int) -> Candidate:
    return candidate if candidate.rank == rank else candidate._replace(rank=rank)


@dataclass(frozen=True, slots=True)
class Truncation:
    """A document of which `stage` read only the first `tokens_seen` of `tokens_total` tokens."""

    doc_id: str
    stage: str
    tokens_seen: int
    tokens_total: int

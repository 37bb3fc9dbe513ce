"""The values that flow through a cascade: documents, queries, candidates and rankings."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from cascade.filters import Filter

MetadataValue = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Document:
    """A text that can be ranked, with the facts that filters may ask about."""

    doc_id: str
    text: str
    title: str = ""
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict)

    @property
    def passage(self) -> str:
        """What every stage reads, BM25 and models alike: the title on its own line, then the text."""
        return f"{self.title}\n{self.text}" if self.title else self.text


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked, and which documents may answer."""

    text: str
    where: Filter | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
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
        if len({c.doc_id for c in self.candidates}) != len(self.candidates):
            raise ValueError("a ranking holds each document once, found a repeated doc_id")

    @staticmethod
    def from_scores(scores: Iterable[tuple[str, float]], scored_by: str) -> Ranking:
        """Order documents by score, best first, and by doc_id where scores are equal; the only sort in a cascade.

        Raises ValueError for a score that is not finite.
        """
        pairs = list(scores)
        for doc_id, score in pairs:
            if not math.isfinite(score):
                raise ValueError(
                    f"stage {scored_by!r} gave document {doc_id!r} the score {score}, expected a finite number"
                )
        pairs.sort(key=lambda pair: (-pair[1], pair[0]))
        return Ranking(tuple(Candidate(d, s, r, scored_by) for r, (d, s) in enumerate(pairs, start=1)))

    def head(self, count: int) -> Ranking:
        """The first `count` candidates, or all when there are fewer."""
        return self if count >= len(self.candidates) else Ranking(self.candidates[:count])

    def with_probabilities(self, probabilities: Mapping[str, float | None]) -> Ranking:
        """The same ranking, with each candidate's chance of relevance, None where it is not known."""
        found = probabilities.get
        return Ranking(tuple(_with(c, c.rank, c.text, c.model_score, found(c.doc_id)) for c in self.candidates))

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
        return Ranking(
            tuple(_with(c, c.rank, found(c.doc_id, c.text), c.model_score, c.probability) for c in self.candidates)
        )

    def with_model_scores(self, scores: Mapping[str, float]) -> Ranking:
        """The same ranking, with the model's own scores attached."""
        return Ranking(tuple(_with(c, c.rank, c.text, scores[c.doc_id], c.probability) for c in self.candidates))

    @property
    def doc_ids(self) -> Sequence[str]:
        """The documents, best first."""
        return [c.doc_id for c in self.candidates]

    def __len__(self) -> int:
        return len(self.candidates)

    def __iter__(self) -> Iterator[Candidate]:
        return iter(self.candidates)


def _with(
    candidate: Candidate, rank: int, text: str | None, model_score: float | None, probability: float | None
) -> Candidate:
    # `dataclasses.replace` takes five times as long, and a request of 100 documents made 200 of its candidates.
    c = candidate
    return Candidate(c.doc_id, c.score, rank, c.scored_by, text, model_score, probability)


def _at(candidate: Candidate, rank: int) -> Candidate:
    c = candidate
    return c if c.rank == rank else _with(c, rank, c.text, c.model_score, c.probability)


@dataclass(frozen=True, slots=True)
class Truncation:
    """A document of which `stage` read only the first `tokens_seen` of `tokens_total` tokens."""

    doc_id: str
    stage: str
    tokens_seen: int
    tokens_total: int

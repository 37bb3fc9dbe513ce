"""What a cascade answers with, and the account that grows while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cascade import trace
from cascade.stages import Corpus
from cascade.trace import StageStatus, StageTrace
from cascade.types import Document, Ranking, Truncation


@dataclass(frozen=True, slots=True)
class Answer:
    """A ranking and how it came about.

    `ranking` holds the first top_k; `documents` those of the ranking, when they were asked for; `stages` every stage's
    own ranking by its name, in the order they ended.
    """

    ranking: Ranking
    stages: Mapping[str, Ranking]
    trace: tuple[StageTrace, ...]
    truncations: tuple[Truncation, ...] = ()
    documents: Mapping[str, Document] = field(default_factory=dict)

    @property
    def degraded(self) -> bool:
        """Whether any stage did less than the cascade asks for."""
        return trace.degraded(self.trace)


@dataclass(frozen=True, slots=True)
class Update:
    """The answer as it stands after `stage` ended; the one that is `final` is the answer."""

    stage: str
    final: bool
    answer: Answer


@dataclass(frozen=True, slots=True)
class Floor:
    """Only what `tier` found relevant with at least this `probability` is an answer, once that tier has completed."""

    tier: str
    probability: float


class Progress:
    """The account of one request while it runs: only grows, and answers at any time with the best ranking so far."""

    def __init__(self, corpus: Corpus, top_k: int, floor: Floor | None = None) -> None:
        self._documents = corpus.documents
        self._top_k = top_k
        self._floor = floor
        self._fetched: dict[str, Document] = {}
        self._stages: dict[str, Ranking] = {}
        self._trace: list[StageTrace] = []
        self._truncations: list[Truncation] = []
        self.ranking = Ranking()

    def ended(self, stage: StageTrace, *, own: Ranking | None, best: Ranking, cut: tuple[Truncation, ...] = ()) -> None:
        """Stage ended: `own` is its ranking if it made one, `best` the best ranking there is now."""
        self._trace.append(stage)
        self._truncations.extend(cut)
        if own is not None:
            self._stages[stage.stage] = own
        self.ranking = best

    async def passages(self, ranking: Ranking) -> Mapping[str, str]:
        """The passages of a ranking's documents; each document is fetched once per request."""
        await self._fetch(ranking)
        return {d: self._fetched[d].passage for d in ranking.doc_ids if d in self._fetched}

    async def answer(self, *, with_documents: bool) -> Answer:
        """As things stand."""
        head = self._above_floor().head(self._top_k)
        if with_documents:
            await self._fetch(head)
        documents = {d: self._fetched[d] for d in head.doc_ids if d in self._fetched} if with_documents else {}
        return Answer(head, dict(self._stages), tuple(self._trace), tuple(self._truncations), documents)

    def _above_floor(self) -> Ranking:
        floor = self._floor
        if floor is None or not any(t.stage == floor.tier and t.status is StageStatus.COMPLETED for t in self._trace):
            return self.ranking  # where nothing was read, nothing was found irrelevant
        likely = (c.doc_id for c in self.ranking if c.probability is not None and c.probability >= floor.probability)
        return self.ranking.of(likely)

    async def _fetch(self, ranking: Ranking) -> None:
        missing = [d for d in ranking.doc_ids if d not in self._fetched]
        if missing:
            self._fetched.update(await self._documents.fetch(missing))

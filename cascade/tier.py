"""One tier at work: how it scores the head of a ranking, and the order that its scores make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

from cascade.adaptive import completed, score_until
from cascade.blend import blended
from cascade.budget import Budget, within
from cascade.calibration import probability
from cascade.config import PointwiseTier, TierConfig, Until
from cascade.errors import StageError
from cascade.stages import Corpus, Reranker, Scores, SupportsCorpus, SupportsCostEstimate
from cascade.types import Candidate, Query, Ranking


@dataclass(frozen=True, slots=True)
class Tier:
    """A reranker with its place in the cascade."""

    config: TierConfig
    reranker: Reranker

    def over(self, corpus: Corpus) -> Tier:
        """The tier for requests over `corpus`."""
        return Tier(self.config, self.reranker.over(corpus)) if _uses_corpus(self.reranker) else self

    def estimate_cost(self, query: Query, head: Ranking, account: str) -> float:
        """Seconds that it is sure to take, only the first chunk's where it may stop early; 0 when nothing is known."""
        if not _foresees_cost(self.reranker):
            return 0.0
        until = self._until
        first = head.candidates[: None if until is None else until.first]
        return self.reranker.estimate_cost(query, first, account=account)

    async def score(self, query: Query, head: Ranking, budget: Budget) -> Scores:
        """A score for every candidate, or for the first ones where the tier may stop early. Raises TimeoutError."""

        async def score(candidates: Sequence[Candidate]) -> Scores:
            return await within(budget, self.reranker.score(query, candidates, budget=budget))

        if not len(head):
            return Scores(())
        if self._until is None:
            return await score(head.candidates)
        return await score_until(self.config.name, self._until, self.config.blend, head, score)

    @property
    def _until(self) -> Until | None:
        return self.config.until if isinstance(self.config, PointwiseTier) else None


def ordered(config: TierConfig, head: Ranking, values: Sequence[float]) -> Ranking:
    """What a tier gave `values` to, the first of `head`: best first, blended with `head` where the tier says so.

    Raises StageError for too many or too few scores, ValueError for one that is not finite.
    """
    pointwise = config if isinstance(config, PointwiseTier) else None
    whole = completed(pointwise.until if pointwise else None, head, values)
    if len(whole) != len(head):
        found = f"it gave {len(whole)} scores for {len(head)} candidates, expected one each"
        raise StageError(config.name, found)
    ranked = Ranking.from_scores(zip(head.doc_ids, whole, strict=True), config.name)
    order = ranked if config.blend is None else blended(config.name, config.blend, head, ranked)
    own = order if len(values) == len(head) else order.of(head.doc_ids[: len(values)])
    scores = {c.doc_id: c.score for c in ranked}
    if pointwise is None or pointwise.calibration is None:
        return own.with_model(scores, {c.doc_id: c.probability for c in head})
    calibration = pointwise.calibration
    return own.with_model(scores, {doc_id: probability(calibration, score) for doc_id, score in scores.items()})


# By the class, which is looked at once: of an instance that is no such thing every attribute is, at every request.
def _uses_corpus(reranker: Reranker) -> TypeGuard[SupportsCorpus]:
    return issubclass(type(reranker), SupportsCorpus)


def _foresees_cost(reranker: Reranker) -> TypeGuard[SupportsCostEstimate]:
    return issubclass(type(reranker), SupportsCostEstimate)

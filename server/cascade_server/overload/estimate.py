"""What a request will have each model read, in tokens, by what is known of it when it comes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from cascade.config import (
    CascadeConfig,
    CrossEncoderConfig,
    DenseConfig,
    IdentityConfig,
    JointConfig,
    LateInteractionConfig,
    LikelihoodConfig,
    LogitsConfig,
    PermutationConfig,
    SetwiseConfig,
    TierConfig,
    TournamentConfig,
)
from cascade.inference.cost import CHARS_PER_TOKEN, approximate_tokens
from cascade.models import ModelKey
from cascade.stages import Corpus
from cascade.trace import StageStatus, StageTrace
from cascade.types import Document

_FIRST_GUESS = 160.0
"""Tokens of an indexed document before any was read."""
_SMOOTHING = 0.2
_MOST_REMEMBERED = 4096
_LEAST_RATIO = 0.01
_ALL = 2**31


@dataclass(frozen=True, slots=True)
class Work:
    """What one stage will read: `fixed` tokens, and `each` for every candidate of `depth`.

    `model` is None where no queue of this process is waited in. A tier may not take longer than `most_seconds`.
    `ratio` is what such stages did read over what the lengths of texts had foretold.
    """

    stage: str
    model: ModelKey | None
    fixed: float
    each: float
    depth: int
    tier: bool = False
    most_seconds: float | None = None
    ratio: float = 1.0

    @property
    def tokens(self) -> float:
        """All that it is expected to read."""
        return self.ratio * self.foretold

    @property
    def foretold(self) -> float:
        """Tokens by the lengths of the texts alone."""
        return self.fixed + self.each * self.depth

    def at(self, depth: int) -> Work:
        """The work for so many candidates; for none it reads nothing at all."""
        return replace(self, depth=depth, fixed=self.fixed if depth else 0.0)

    def depth_for(self, tokens: float) -> int:
        """The most candidates, of those it has, that `tokens` are enough for."""
        if self.tokens <= tokens:
            return self.depth
        return int(max(0.0, min(self.depth, (tokens / self.ratio - self.fixed) / self.each))) if self.each else 0


class Estimates:
    """Knows from what requests did read how far the lengths of texts tell it, apart for each `key` and stage."""

    def __init__(self) -> None:
        self._ratios: OrderedDict[tuple[str, ...], float] = OrderedDict()

    def of(
        self, key: tuple[str, ...], config: CascadeConfig, query: str, documents: Sequence[Document], corpus: Corpus
    ) -> tuple[Work, ...]:
        """Every stage that has a model read, in the order they run; `documents` are those of the request itself."""
        dense = [stage for stage in config.retrieve if isinstance(stage, DenseConfig)]
        tiers = [tier for tier in config.tiers if not isinstance(tier, IdentityConfig)]
        if not (dense or tiers):
            return ()  # before the lengths of all documents are added up for nobody
        works = _works(dense, tiers, approximate_tokens([query], most=_ALL), _mean_tokens(documents), corpus)
        return tuple(replace(work, ratio=self._ratios.get((*key, work.stage), 1.0)) for work in works)

    def learn(self, key: tuple[str, ...], works: Iterable[Work], trace: Iterable[StageTrace]) -> None:
        """What `works` foretold was, where a stage came to its end, what `trace` says.

        Where anything was remembered, less was read than texts of these lengths take: nothing is learnt from that.
        """
        to_the_end = (StageStatus.COMPLETED, StageStatus.REDUCED)
        ended = {t.stage: t.tokens for t in trace if t.status in to_the_end and not t.cached}
        for work in works:
            if work.foretold > 0 and work.stage in ended:
                self._remember((*key, work.stage), max(_LEAST_RATIO, ended[work.stage] / work.foretold))

    def _remember(self, place: tuple[str, ...], found: float) -> None:
        before = self._ratios.get(place, found)
        self._ratios[place] = before + _SMOOTHING * (found - before)
        self._ratios.move_to_end(place)
        if len(self._ratios) > _MOST_REMEMBERED:
            self._ratios.popitem(last=False)


def _works(
    dense: Iterable[DenseConfig], tiers: Iterable[TierConfig], query: float, document: float, corpus: Corpus
) -> Iterable[Work]:
    for stage in dense:
        each, depth = (document, corpus.size) if corpus.whole else (0.0, 0)
        yield Work(stage.name, ModelKey("bi_encoder", stage.model, stage.backend), query, each, depth)
    for tier in tiers:
        fixed, each = _reads(tier, query, document, corpus)
        seconds = None if tier.max_time_ms is None else tier.max_time_ms / 1e3
        yield Work(tier.name, _model(tier), fixed, each, min(tier.depth, corpus.size), True, seconds)


def _mean_tokens(documents: Sequence[Document]) -> float:
    if not documents:
        return _FIRST_GUESS
    return sum(len(d.text) for d in documents) / len(documents) / CHARS_PER_TOKEN + 1


def _reads(tier: TierConfig, query: float, document: float, corpus: Corpus) -> tuple[float, float]:
    """Tokens read once and for each candidate, one that is read several times counted as often."""
    match tier:
        case CrossEncoderConfig():
            return 0.0, min(tier.max_length, query + document)
        case LateInteractionConfig():
            stored = corpus.token_vectors is not None and corpus.token_vectors.reference == tier.model
            return min(tier.max_query_tokens, query), 0.0 if stored else min(tier.max_doc_tokens, document)
        case JointConfig():
            return query, min(tier.max_doc_tokens, document)
        case LikelihoodConfig():
            return 0.0, min(tier.max_doc_tokens, document) + query
        case LogitsConfig() | PermutationConfig():
            times = tier.window / tier.stride if tier.depth > tier.window else 1.0
        case SetwiseConfig():
            times = 1.0 + min(tier.top, tier.depth) * (tier.children + 1) / tier.depth
        case TournamentConfig():
            times = 2.0 * tier.rounds
        case _:
            return 0.0, 0.0
    both = 1.0 if isinstance(tier, PermutationConfig) or not tier.both_orders else 2.0
    return query, min(tier.max_doc_tokens, document) * times * both


def _model(tier: TierConfig) -> ModelKey | None:
    match tier:
        case CrossEncoderConfig():
            return ModelKey("cross_encoder", tier.model, tier.backend, tier.deterministic)
        case LateInteractionConfig():
            return ModelKey("multi_vector", tier.model, tier.backend, tier.deterministic)
        case JointConfig(endpoint=None):
            return ModelKey("joint", tier.model, tier.backend)
        case LikelihoodConfig(endpoint=None):
            return ModelKey("likelihood", tier.model, tier.backend)
        case LogitsConfig() | PermutationConfig() | SetwiseConfig() | TournamentConfig():
            return None if tier.endpoint is not None else ModelKey("language_model", tier.model)
        case _:
            return None

"""What one tier of a cascade gives every candidate of a collection's queries, gathered through a live server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cascade.config import CascadeConfig, PointwiseConfig, PointwiseTier, TierConfig
from cascade.errors import InvalidInputError, NotFoundError, Violation
from cascade.evaluate.collection import Collection
from cascade.evaluate.collection_index import Wanted, index_on_disk
from cascade.evaluate.patience import patiently
from cascade.evaluate.progress import bar, count
from cascade.evaluate.serving import encoder_of, serving, with_room
from cascade.evaluate.through_server import Setup
from cascade.types import Candidate, Ranking
from cascade_client import AsyncClient, DeadlineError, Document, Ranked
from cascade_server.settings import Settings


@dataclass(frozen=True, slots=True)
class TierScores:
    """One query at one tier: the order that it received, its model's score for the first of them, and tokens read."""

    received: Ranking
    values: tuple[float, ...]
    tokens: int


@dataclass(frozen=True, slots=True)
class Gathered:
    """By query, what a tier scored; `lost` queries have no scores, since the tier or what is before it failed."""

    by_query: Mapping[str, TierScores]
    lost: int


def pointwise(config: CascadeConfig, name: str | None, source: str) -> PointwiseConfig:
    """The tier `name` of a cascade, or its last one that scores each document by itself.

    Raises NotFoundError for a tier that is not there, InvalidInputError for one of another kind.
    """
    found = {tier.name: tier for tier in config.tiers}
    if name is None:
        name = next((t.name for t in reversed(config.tiers) if isinstance(t, PointwiseTier)), None)
    if name is None:
        message = "has no tier that scores each document by itself, such as cross_encoder"
        raise InvalidInputError([Violation(f"cascade {source!r}", message)])
    if name not in found:
        raise NotFoundError(f"tier in cascade {source!r}", name, list(found))
    tier = found[name]
    if not isinstance(tier, PointwiseTier):
        message = f"is a {tier.kind}, which does not score each document by itself; expected one such as cross_encoder"
        raise InvalidInputError([Violation(f"tier {name!r}", message)])
    return tier


def ending_with(config: CascadeConfig, tier: TierConfig) -> CascadeConfig:
    """The cascade with `tier` in the place of the one of its name, and nothing after it; no tier is cut off."""
    before: list[TierConfig] = []
    for one in config.tiers:
        if one.name == tier.name:
            break
        before.append(one)
    timeless = [one.model_copy(update={"max_time_ms": None}) for one in (*before, tier)]
    return config.model_copy(update={"tiers": tuple(timeless), "budget_ms": None})


async def gather(
    settings: Settings, collection: Collection, config: CascadeConfig, setup: Setup, *, tenant: str = "default"
) -> Gathered:
    """What the last tier of `config` gives the collection's queries, asked in this process as a server answers.

    Raises what indexing and serving raise.
    """
    if collection.candidates is None:
        with bar(f"indexing {collection.name}") as progress:
            wanted = Wanted(setup.index, collection.documents, encoder_of(config))
            await index_on_disk(settings, tenant, wanted, progress)
    async with serving(with_room(settings, collection), tenant, only={setup.cascade: config}) as served:
        with count(f"asking {setup.cascade}", len(collection.queries)) as answered:
            return await ask_all(served.client, collection, config, setup, answered)


async def ask_all(
    client: AsyncClient, collection: Collection, config: CascadeConfig, setup: Setup, answered: Callable[[], None]
) -> Gathered:
    """As `gather`, through a server that has `config` as the cascade of the set-up."""
    limit = (await client.info()).limits.max_top_k
    known = {d.doc_id: d for d in collection.documents} if collection.candidates is not None else {}
    found: dict[str, TierScores | None] = {}
    waiting = iter(collection.queries.items())

    async def worker() -> None:
        for query_id, text in waiting:
            documents: list[Document] = []
            if collection.candidates is not None:
                own = (known[d] for d in collection.candidates.by_query.get(query_id, ()) if d in known)
                documents = [Document(d.doc_id, d.text, d.title, d.metadata) for d in own]
            top_k = min(limit, max(config.fuse.depth, len(documents), 1))
            try:
                ranked = await _ranked(client, text, setup, documents, top_k)
            except DeadlineError:
                found[query_id] = None
            else:
                found[query_id] = scores_of(ranked, config)
            answered()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(setup.concurrency):
                group.create_task(worker())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None  # the others follow from it
    kept = {q: scores for q in collection.queries if (scores := found[q]) is not None}
    return Gathered(kept, len(found) - len(kept))


async def _ranked(client: AsyncClient, text: str, setup: Setup, documents: Sequence[Document], top_k: int) -> Ranked:
    async def rank(left: float) -> Ranked:
        return await client.rank(
            text,
            cascade=setup.cascade,
            index="" if documents else setup.index,
            documents=documents,
            top_k=top_k,
            explain=True,
            timeout=left,
        )

    return await patiently(rank, setup.timeout)


def scores_of(ranked: Ranked, config: CascadeConfig) -> TierScores | None:
    """What the last tier of `config` received and gave, read from an explained answer; None where it gave nothing."""
    *before, tier = config.tiers
    order: Sequence[Candidate] = ()
    for stage in (config.fuse, *before):
        own = [Candidate(d, score, rank, stage.name) for d, rank, score in _places(ranked, stage.name)]
        doc_ids = {c.doc_id for c in own}
        order = [*own, *(c for c in order if c.doc_id not in doc_ids)]
    head = Ranking().followed_by(order).head(tier.depth)
    values = {
        result.doc_id: place.model_score
        for result in ranked.results
        for place in result.stages
        if place.stage == tier.name and place.model_score is not None
    }
    read = [values[d] for d in head.doc_ids if d in values]
    if not read or head.doc_ids[: len(read)] != [d for d in head.doc_ids if d in values]:
        return None
    tokens = sum(trace.tokens for trace in ranked.trace if trace.stage == tier.name)
    return TierScores(head, tuple(read), tokens)


def without_excluded(collection: Collection, query_id: str, scores: TierScores) -> list[tuple[str, float]]:
    """The documents that were scored for a query and their scores, less those that its judgments leave out."""
    excluded = collection.excluded.get(query_id, frozenset())
    pairs = zip(scores.received.doc_ids, scores.values, strict=False)
    return [(doc_id, value) for doc_id, value in pairs if doc_id not in excluded]


def _places(ranked: Ranked, stage: str) -> list[tuple[str, int, float]]:
    found = [(r.doc_id, p.rank, p.score) for r in ranked.results for p in r.stages if p.stage == stage]
    return sorted(found, key=lambda place: place[1])

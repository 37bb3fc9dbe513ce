"""Evaluates a cascade through a live server: asks it every query of a collection and keeps what each stage ranked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cascade.errors import NotFoundError
from cascade.evaluate.collection import Collection
from cascade.evaluate.report import Report, measure
from cascade.evaluate.runs import Observation, Stage, StageCost, rebuild
from cascade_client import AsyncClient, DeadlineError, Ranked

Runs = Mapping[str, Mapping[str, tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class Setup:
    """How a collection is asked: `timeout` in seconds per query, `concurrency` queries at a time."""

    cascade: str
    index: str
    concurrency: int = 4
    timeout: float = 300.0
    seed: int = 0


async def evaluate(
    client: AsyncClient, collection: Collection, setup: Setup, *, answered: Callable[[], None]
) -> tuple[Report, Runs]:
    """The report on every stage of a cascade, and every stage's run; `answered` is called once per query.

    Stages are read from the server's stream of updates, so that a retriever's documents count although fusion dropped
    them, down to the depth of the deepest stage or the server's limit. A query whose deadline passed counts with 0.
    Raises NotFoundError for a cascade that the server does not have, ClientError for any other failure.
    """
    info = await client.info()
    found = {known.name: known for known in info.cascades}
    if setup.cascade not in found:
        raise NotFoundError("cascade", setup.cascade, list(found))
    cascade = found[setup.cascade]
    stages = tuple(Stage(stage.name, stage.kind, stage.depth) for stage in cascade.stages)
    deepest = max(stage.depth for stage in stages)
    top_k = min(deepest, info.limits.max_top_k)
    observations = await _ask_all(client, collection, setup, top_k, answered)
    notes = list(collection.notes)
    if top_k < deepest:
        notes.append(f"the server returns at most {top_k} results: ranks below that, to {deepest}, are not measured")
    runs = rebuild(stages, observations)
    report = Report(
        collection=collection.name,
        split=collection.split,
        queries=len(collection.queries),
        cascade=cascade.name,
        config_hash=cascade.config_hash,
        index=setup.index,
        top_k=top_k,
        degraded_queries=sum(o.degraded for o in observations.values()),
        unanswered_queries=sum(o.unanswered for o in observations.values()),
        # Thousands of resamples take a while, and the server may live on this event loop.
        stages=await asyncio.to_thread(measure, collection, stages, runs, observations, seed=setup.seed),
        notes=tuple(notes),
    )
    return report, runs


async def observe(client: AsyncClient, text: str, setup: Setup, top_k: int) -> Observation:
    """What every stage ranked for one query."""
    ranks: dict[str, dict[str, int]] = {}
    last: Ranked | None = None
    updates = client.rank_stream(
        text, cascade=setup.cascade, index=setup.index, top_k=top_k, explain=True, timeout=setup.timeout
    )
    try:
        async for update in updates:
            last = update.ranked
            for result in last.results:
                for place in result.stages:
                    ranks.setdefault(place.stage, {})[result.doc_id] = place.rank
    except DeadlineError:
        return Observation({}, {}, unanswered=True)
    if last is None:
        return Observation({}, {}, unanswered=True)
    costs = {t.stage: StageCost(str(t.status), t.candidates_in, t.tokens, t.run_time) for t in last.trace}
    return Observation(ranks, costs, degraded=last.degraded)


async def _ask_all(
    client: AsyncClient, collection: Collection, setup: Setup, top_k: int, answered: Callable[[], None]
) -> dict[str, Observation]:
    observations: dict[str, Observation] = {}
    waiting = iter(collection.queries.items())

    async def worker() -> None:
        for query_id, text in waiting:
            observations[query_id] = await observe(client, text, setup, top_k)
            answered()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(setup.concurrency):
                group.create_task(worker())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None  # the others follow from it
    return {query_id: observations[query_id] for query_id in collection.queries}

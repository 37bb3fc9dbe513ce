"""Evaluates a cascade through a live server: asks it every query of a collection and keeps what each stage ranked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from cascade.errors import InvalidInputError, NotFoundError, Violation
from cascade.evaluate.collection import Candidates, Collection
from cascade.evaluate.patience import patiently
from cascade.evaluate.report import Report, measure
from cascade.evaluate.runs import Observation, Stage, StageCost, rebuild
from cascade_client import AsyncClient, DeadlineError, Document, Limits, Ranked

Runs = Mapping[str, Mapping[str, tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class Setup:
    """How a collection is asked: `timeout` in seconds per query, `concurrency` queries at a time.

    `index` is empty when queries bring candidates of their own. `price_per_hour` is what the machine costs.
    """

    cascade: str
    index: str
    concurrency: int = 4
    timeout: float = 300.0
    seed: int = 0
    price_per_hour: float | None = None


@dataclass(frozen=True, slots=True)
class Described:
    """A cascade as the server describes it."""

    name: str
    config_hash: str
    stages: tuple[Stage, ...]


@dataclass(frozen=True, slots=True)
class Observed:
    """What a cascade's stages showed of every query of a collection; only the first `top_k` ranks are known."""

    cascade: Described
    by_query: Mapping[str, Observation]
    top_k: int
    notes: tuple[str, ...] = ()


async def evaluate(
    client: AsyncClient, collection: Collection, setup: Setup, *, answered: Callable[[], None]
) -> tuple[Report, Runs]:
    """The report on every stage of a cascade, and every stage's run; `answered` is called once per query."""
    return await conclude(collection, setup, await observe(client, collection, setup, answered=answered))


async def conclude(collection: Collection, setup: Setup, observed: Observed) -> tuple[Report, Runs]:
    """The report on what was observed, and every stage's run; a run that gave the candidates is its first stage."""
    if collection.candidates is not None and collection.candidates.kind == "run":
        observed = _after_run(observed, collection.candidates)
    observations = observed.by_query
    cascade = observed.cascade
    runs = rebuild(cascade.stages, observations)
    # Thousands of resamples take a while, and the server may live on this event loop.
    figures = await asyncio.to_thread(
        measure,
        collection,
        cascade.stages,
        runs,
        observations,
        seed=setup.seed,
        price_per_hour=setup.price_per_hour,
    )
    report = Report(
        collection=collection.name,
        split=collection.split,
        queries=len(collection.queries),
        cascade=cascade.name,
        config_hash=cascade.config_hash,
        index=setup.index,
        top_k=observed.top_k,
        degraded_queries=sum(o.degraded for o in observations.values()),
        unanswered_queries=sum(o.unanswered for o in observations.values()),
        stages=figures,
        notes=(*collection.notes, *observed.notes),
        query_ids=tuple(collection.qrels),
        compared_by=collection.measures[0],
        price_per_hour=setup.price_per_hour,
        money=None if setup.price_per_hour is None else sum(f.money or 0.0 for f in figures),
    )
    return report, runs


async def observe(
    client: AsyncClient, collection: Collection, setup: Setup, *, answered: Callable[[], None]
) -> Observed:
    """Ask the cascade every query, of the index or of the query's own candidates.

    Stages are read from the server's stream of updates, so that a retriever's documents count although fusion dropped
    them, down to the depth of the deepest stage or the server's limit. A query whose deadline passed counts with 0.
    Raises NotFoundError for a cascade that the server does not have, InvalidInputError for more candidates than it
    takes, ClientError for any other failure.
    """
    cascade, limits = await describe(client, setup.cascade), (await client.info()).limits
    deepest = max(stage.depth for stage in cascade.stages)
    if collection.candidates is not None:
        _check_candidates(collection.candidates, limits)
        deepest = collection.candidates.most  # over documents that came with the query, no stage leaves any out
    top_k = min(deepest, limits.max_top_k)
    notes: tuple[str, ...] = ()
    if top_k < deepest:
        notes = (f"the server returns at most {top_k} results: ranks below that, to {deepest}, are not measured",)
    observations = await _ask_all(client, collection, setup, top_k, answered)
    return Observed(cascade, observations, top_k, notes)


async def describe(client: AsyncClient, name: str) -> Described:
    """The cascade called `name`. Raises NotFoundError for one that the server does not have."""
    found = {known.name: known for known in (await client.info()).cascades}
    if name not in found:
        raise NotFoundError("cascade", name, list(found))
    stages = tuple(Stage(stage.name, stage.kind, stage.depth) for stage in found[name].stages)
    return Described(name, found[name].config_hash, stages)


async def ask(
    client: AsyncClient, text: str, setup: Setup, top_k: int, documents: Sequence[Document] | None = None
) -> Observation:
    """What every stage ranked for one query, of `documents` or of the index."""

    async def stream(left: float) -> tuple[dict[str, dict[str, int]], Ranked | None]:
        ranks: dict[str, dict[str, int]] = {}
        last: Ranked | None = None
        async for update in client.rank_stream(
            text,
            cascade=setup.cascade,
            index=setup.index if documents is None else "",
            documents=documents or (),
            top_k=top_k,
            explain=True,
            timeout=left,
        ):
            last = update.ranked
            for result in last.results:
                for place in result.stages:
                    ranks.setdefault(place.stage, {})[result.doc_id] = place.rank
        return ranks, last

    try:
        ranks, last = await patiently(stream, setup.timeout)
    except DeadlineError:
        return Observation({}, {}, unanswered=True)
    if last is None:
        return Observation({}, {}, unanswered=True)
    costs = {
        t.stage: StageCost(str(t.status), t.candidates_in, t.tokens, t.run_time, t.scored, t.repairs)
        for t in last.trace
    }
    return Observation(ranks, costs, degraded=last.degraded)


async def _ask_all(
    client: AsyncClient, collection: Collection, setup: Setup, top_k: int, answered: Callable[[], None]
) -> dict[str, Observation]:
    observations: dict[str, Observation] = {}
    waiting = iter(collection.queries.items())
    candidates = collection.candidates
    known = {} if candidates is None else {d.doc_id: d for d in collection.documents}

    async def worker() -> None:
        for query_id, text in waiting:
            if candidates is None:
                observations[query_id] = await ask(client, text, setup, top_k)
            else:
                own = [known[d] for d in candidates.by_query.get(query_id, ()) if d in known]
                documents = [Document(d.doc_id, d.text, d.title, d.metadata) for d in own]
                observations[query_id] = (
                    await ask(client, text, setup, top_k, documents) if documents else Observation({}, {})
                )
            answered()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(setup.concurrency):
                group.create_task(worker())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None  # the others follow from it
    return {query_id: observations[query_id] for query_id in collection.queries}


def _check_candidates(candidates: Candidates, limits: Limits) -> None:
    if candidates.most > limits.max_documents:
        message = f"a query has {candidates.most}, and the server takes at most {limits.max_documents} of a request"
        raise InvalidInputError([Violation("candidates", message)])


def _after_run(observed: Observed, run: Candidates) -> Observed:
    """What was observed, with the run as the stage before all others; it costs nothing here."""
    stages = observed.cascade.stages
    names = {stage.name for stage in stages}
    name = "run" if "run" not in names else "the run"  # which no stage can be called
    by_query = dict(observed.by_query)
    for query_id, doc_ids in run.by_query.items():
        found = by_query[query_id]
        ranks = {doc_id: rank for rank, doc_id in enumerate(doc_ids, start=1)}
        by_query[query_id] = replace(
            found,
            ranks={name: ranks, **found.ranks},
            costs={name: StageCost("completed", len(doc_ids), 0, 0.0), **found.costs},
        )
    after = replace(observed.cascade, stages=(Stage(name, "run", run.most), *stages))
    return replace(observed, cascade=after, by_query=by_query)

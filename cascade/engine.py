"""Runs a cascade: retrieve concurrently, fuse, rerank the head tier by tier, and account for every stage."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace

from cascade.answer import Answer, Floor, Progress, Update
from cascade.budget import Budget, within
from cascade.config import CascadeConfig, RetrieverConfig
from cascade.errors import InvalidInputError, Violation
from cascade.failure import cut_short, no_ranking, not_completed, reduced
from cascade.plan import Decision, Run, Skip, busy, decide
from cascade.stages import (
    Corpus,
    Fuser,
    Retrieval,
    SupportsClose,
    SupportsWarmUp,
    Usage,
)
from cascade.tier import Tier, ordered
from cascade.trace import StageStatus, StageTrace
from cascade.types import Candidate, Query, Ranking


class Cascade:
    """A cascade that is wired and can be called; it holds no state of any request."""

    def __init__(
        self,
        name: str,
        config: CascadeConfig,
        fuser: Fuser,
        tiers: Sequence[Tier],
        *,
        encoders: Sequence[SupportsWarmUp] = (),
    ) -> None:
        self.name = name
        self._encoders = tuple(encoders)
        self.config = config
        self._fuser = fuser
        self._tiers = tuple(tiers)

    async def warm_up(self) -> None:
        """Load every model that the cascade names. Raises ModelLoadError."""
        for encoder in self._encoders:
            await encoder.warm_up()
        for tier in self._tiers:
            if isinstance(tier.reranker, SupportsWarmUp):
                await tier.reranker.warm_up()

    async def aclose(self) -> None:
        """Release what the tiers hold."""
        for tier in self._tiers:
            if isinstance(tier.reranker, SupportsClose):
                await tier.reranker.aclose()

    async def rank(
        self,
        query: Query,
        corpus: Corpus,
        *,
        top_k: int,
        budget: Budget,
        tier_seconds: float | None = None,
        min_probability: float | None = None,
        with_documents: bool = False,
        depths: Mapping[str, int] | None = None,
    ) -> Answer:
        """The last of what `stream` yields."""
        updates = self.stream(
            query,
            corpus,
            top_k=top_k,
            budget=budget,
            tier_seconds=tier_seconds,
            min_probability=min_probability,
            with_documents=with_documents,
            depths=depths,
            only_last=True,
        )
        async for update in updates:
            last = update
        return last.answer

    async def stream(
        self,
        query: Query,
        corpus: Corpus,
        *,
        top_k: int,
        budget: Budget,
        tier_seconds: float | None = None,
        min_probability: float | None = None,
        with_documents: bool = False,
        depths: Mapping[str, int] | None = None,
        only_last: bool = False,
    ) -> AsyncGenerator[Update, None]:
        """One update for every stage that ended, in the order they ended; the last is final.

        `depths` is a cheaper plan for a busy server: the named tiers see at most so many candidates, none for 0, and
        their traces say so. With `only_last` no update before it has documents: fetching what nobody reads takes time
        from the tiers.

        `budget` is the deadline of the whole answer. `tier_seconds`, counted from this call, and the cascade's own
        budget_ms bound the tiers only: retrieval and fusion make the ranking that there must be to answer with.
        Results whose probability is below `min_probability` or not known are left out, unless the last calibrated tier
        did not complete. Raises InvalidInputError when no tier is calibrated; BudgetExceededError, StageError, or the
        retrievers' own CascadeError when no ranking could be made.
        """
        for_tiers = budget.at_most(_seconds(self.config.budget_ms)).at_most(tier_seconds)
        progress = Progress(corpus, top_k, self._floor(min_probability))

        async def update(stage: str, *, final: bool) -> Update:
            wanted = with_documents and (final or not only_last)
            return Update(stage, final, await progress.answer(with_documents=wanted))

        found: dict[str, Ranking] = {}
        async with aclosing(self._retrieve(query, corpus, budget, progress)) as retrieved:
            async for name, ranking in retrieved:
                if ranking is not None:
                    found[name] = ranking
                yield await update(name, final=False)

        started = time.monotonic()
        fuse = self.config.fuse
        in_order = {r.name: found[r.name] for r in self.config.retrieve if r.name in found}
        fused = self._fuser.fuse(in_order).head(_depth(fuse.depth, corpus))
        trace = StageTrace(
            fuse.name,
            fuse.kind,
            StageStatus.COMPLETED,
            candidates_in=len({d for r in in_order.values() for d in r.doc_ids}),
            candidates_out=len(fused),
            run_time=time.monotonic() - started,
        )
        progress.ended(trace, own=fused, best=fused)
        yield await update(fuse.name, final=not self._tiers)

        for tier in self._tiers:
            most = (depths or {}).get(tier.config.name)
            await self._rerank(tier.over(corpus), query, for_tiers, progress, most)
            yield await update(tier.config.name, final=tier is self._tiers[-1])

    def _floor(self, min_probability: float | None) -> Floor | None:
        if min_probability is None:
            return None
        if not self.config.calibrated:
            message = (
                f"no tier of cascade {self.name!r} is calibrated, so that no result has a probability; "
                "run `cascade calibrate`, or leave it out"
            )
            raise InvalidInputError([Violation("min_probability", message)])
        return Floor(self.config.calibrated, min_probability)

    async def _retrieve(
        self, query: Query, corpus: Corpus, budget: Budget, progress: Progress
    ) -> AsyncGenerator[tuple[str, Ranking | None], None]:
        """Each retriever's name and ranking as they end, None for one that failed; raises when all did."""
        started = time.monotonic()
        errors: list[BaseException] = []
        async with aclosing(_outcomes(self.config.retrieve, query, corpus, budget)) as outcomes:
            async for config, outcome in outcomes:
                trace = StageTrace(
                    config.name,
                    config.kind,
                    StageStatus.COMPLETED,
                    candidates_in=corpus.size,
                    run_time=time.monotonic() - started,
                    model=config.model,
                )
                if isinstance(outcome, BaseException):
                    errors.append(outcome)
                    progress.ended(not_completed(trace, outcome), own=None, best=progress.ranking)
                    if len(errors) == len(self.config.retrieve):
                        raise no_ranking(config.name, errors)
                    yield config.name, None
                else:
                    own, usage = outcome.ranking.head(_depth(config.depth, corpus)), outcome.usage
                    trace = _used(trace, len(own), usage, scored=len(own))
                    progress.ended(trace, own=own, best=own, cut=usage.truncations)
                    yield config.name, own

    async def _rerank(
        self, tier: Tier, query: Query, budget: Budget, progress: Progress, most: int | None = None
    ) -> None:
        """Rerank the head of the ranking, at most `most` candidates of it, or leave it as it stands and say why."""
        config, before = tier.config, progress.ranking
        wanted = len(before.head(config.depth))
        head = before.head(config.depth if most is None else min(most, config.depth))
        started = time.monotonic()

        def trace() -> StageTrace:
            seconds, count = time.monotonic() - started, len(head)
            return StageTrace(
                config.name,
                config.kind,
                StageStatus.COMPLETED,
                candidates_in=count,
                candidates_out=count,
                run_time=seconds,
                model=config.model_in_use,
            )

        try:
            # Asked once before any text is fetched: a tier without time must not cost any.
            decision = busy() if wanted > len(head) == 0 else self._decide(tier, query, None, budget)
            if isinstance(decision, Run):
                if config.reads_text:
                    head = head.with_text(await within(decision.budget, progress.passages(head)))
                decision = self._decide(tier, query, head, budget)
            if isinstance(decision, Skip):
                skipped = replace(trace(), status=StageStatus.SKIPPED, reason=decision.reason, detail=decision.detail)
                progress.ended(skipped, own=None, best=before)
                return
            scores = await tier.score(query, head, decision.budget)
            own = ordered(config, head, scores.values)
        except Exception as error:
            # A tier may raise anything; a ranking exists, so the answer goes on without it and says so.
            progress.ended(not_completed(trace(), error), own=None, best=before)
        else:
            rest: Sequence[Candidate] = before.candidates[len(head) :]
            if len(own) < len(head):
                scored = set(own.doc_ids)
                rest = [c for c in before if c.doc_id not in scored]
            done = _used(trace(), len(head), scores.usage, scored=len(own))
            if len(head) < wanted:
                done = reduced(done, wanted)
            if scores.usage.incomplete:
                done = cut_short(done, scores.usage.incomplete)
            progress.ended(done, own=own, best=own.followed_by(rest), cut=scores.usage.truncations)

    def _decide(self, tier: Tier, query: Query, head: Ranking | None, budget: Budget) -> Decision:
        estimate = 0.0 if head is None else tier.estimate_cost(query, head, budget.account.name)
        return decide(budget, max_seconds=_seconds(tier.config.max_time_ms), estimate=estimate)


async def _outcomes(
    retrievers: Sequence[RetrieverConfig], query: Query, corpus: Corpus, budget: Budget
) -> AsyncGenerator[tuple[RetrieverConfig, Retrieval | BaseException], None]:
    """What each retriever found, or its error, in the order they end; all are at work at the same time."""
    if len(retrievers) == 1:
        # Without a task: waiting for one takes as long as the retrieval of a hundred documents in the order given.
        found: Retrieval | BaseException
        try:
            found = await _retrieval(retrievers[0], query, corpus, budget)
        except Exception as error:  # whatever it is, the engine says what it means
            found = error
        yield retrievers[0], found
        return
    running = {asyncio.ensure_future(_retrieval(config, query, corpus, budget)): config for config in retrievers}
    pending = set(running)
    try:
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in sorted(done, key=lambda task: running[task].name):
                yield running[task], task.exception() or task.result()
    finally:
        for task in pending:
            task.cancel()


async def _retrieval(config: RetrieverConfig, query: Query, corpus: Corpus, budget: Budget) -> Retrieval:
    retriever, depth = corpus.retrievers[config.name], _depth(config.depth, corpus)
    return await within(budget, retriever.retrieve(query, depth=depth, budget=budget))


def _used(trace: StageTrace, out: int, usage: Usage, *, scored: int) -> StageTrace:
    return replace(
        trace,
        candidates_out=out,
        queue_time=usage.queue_time,
        tokens=usage.tokens,
        truncated=len(usage.truncations),
        scored=scored,
        repairs=usage.repairs,
        cached=usage.cached,
        backend=usage.backend,
    )


def _depth(configured: int, corpus: Corpus) -> int:
    return max(configured, corpus.size) if corpus.whole else configured


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1e3

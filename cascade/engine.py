"""Runs a cascade: retrieve concurrently, fuse, rerank the head tier by tier, and account for every stage."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import structlog

from cascade.answer import Answer, Progress, Update
from cascade.budget import Budget
from cascade.config import CascadeConfig, RetrieverConfig, TierConfig
from cascade.errors import BudgetExceededError, CascadeError, OverloadedError, StageError
from cascade.fuse.rrf import RrfFuser
from cascade.plan import Skip, decide
from cascade.stages import (
    Corpus,
    Fuser,
    Reranker,
    Retrieval,
    Scores,
    SupportsClose,
    SupportsCostEstimate,
    SupportsWarmUp,
)
from cascade.trace import Reason, StageStatus, StageTrace
from cascade.types import Query, Ranking

log = structlog.get_logger()
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Tier:
    """A reranker with its place in the cascade."""

    config: TierConfig
    reranker: Reranker


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
        with_documents: bool = False,
    ) -> Answer:
        """The last of what `stream` yields."""
        updates = self.stream(
            query,
            corpus,
            top_k=top_k,
            budget=budget,
            tier_seconds=tier_seconds,
            with_documents=with_documents,
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
        with_documents: bool = False,
    ) -> AsyncIterator[Update]:
        """One update for every stage that ended, in the order they ended; the last is final.

        `budget` is the deadline of the whole answer. `tier_seconds`, counted from this call, and the cascade's own
        budget_ms bound the tiers only: retrieval and fusion make the ranking that there must be to answer with.
        Raises BudgetExceededError, StageError, or the retrievers' own CascadeError when no ranking could be made.
        """
        for_tiers = budget.at_most(_seconds(self.config.budget_ms)).at_most(tier_seconds)
        progress = Progress(corpus, top_k)

        async def update(stage: str, *, final: bool) -> Update:
            return Update(stage, final, await progress.answer(with_documents=with_documents))

        found: dict[str, Ranking] = {}
        async for name, ranking in self._retrieve(query, corpus, budget, progress):
            if ranking is not None:
                found[name] = ranking
            yield await update(name, final=False)

        started = time.monotonic()
        fuse = self.config.fuse
        in_order = {r.name: found[r.name] for r in self.config.retrieve if r.name in found}
        fused = self._fuser.fuse(in_order).head(fuse.depth)
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
            await self._rerank(tier, query, for_tiers, progress)
            yield await update(tier.config.name, final=tier is self._tiers[-1])

    async def _retrieve(
        self, query: Query, corpus: Corpus, budget: Budget, progress: Progress
    ) -> AsyncIterator[tuple[str, Ranking | None]]:
        """Each retriever's name and ranking as they end, None for one without; raises when none has one."""
        started = time.monotonic()
        errors: list[Exception] = []
        running = {
            asyncio.ensure_future(
                _within(budget, corpus.retrievers[r.name].retrieve(query, depth=r.depth, budget=budget))
            ): r
            for r in self.config.retrieve
        }
        pending = set(running)
        try:
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in sorted(done, key=lambda t: running[t].name):
                    config, error = running[task], task.exception()
                    retrieval = task.result() if error is None else None
                    own = retrieval.ranking.head(config.depth) if retrieval else None
                    trace = _retriever_trace(config, corpus, retrieval, error, time.monotonic() - started)
                    progress.ended(trace, own=own, best=progress.ranking if own is None else own)
                    if isinstance(error, Exception):
                        errors.append(error)
                        if len(errors) == len(running):
                            raise _no_ranking(config.name, errors)
                    yield config.name, own
        finally:
            for task in pending:
                task.cancel()

    async def _rerank(self, tier: Tier, query: Query, budget: Budget, progress: Progress) -> None:
        """Rerank the head of the ranking, or leave it as it stands and say why."""
        config, before = tier.config, progress.ranking
        head = before.head(config.depth)
        started = time.monotonic()
        trace = StageTrace(
            config.name,
            config.kind,
            StageStatus.COMPLETED,
            candidates_in=len(head),
            candidates_out=len(head),
            model=config.model,
        )

        def not_done(status: StageStatus, reason: Reason, detail: str) -> None:
            ended = replace(
                trace, status=status, reason=reason, detail=detail, run_time=time.monotonic() - started
            )
            progress.ended(ended, own=None, best=before)

        try:
            # Estimated before any text is fetched: a tier without time must not cost any.
            decision = decide(budget, max_seconds=_seconds(config.max_time_ms), estimate=0.0)
            if not isinstance(decision, Skip) and config.reads_text:
                head = head.with_text(await _within(decision.budget, progress.passages(head)))
                estimate = _estimate(tier.reranker, query, head)
                decision = decide(budget, max_seconds=_seconds(config.max_time_ms), estimate=estimate)
            if isinstance(decision, Skip):
                not_done(StageStatus.SKIPPED, decision.reason, decision.detail)
                return
            scores = await _within(decision.budget, _score(tier, query, head, decision.budget))
            own = _reorder(config, head, scores)
        except TimeoutError:
            spent = time.monotonic() - started
            not_done(StageStatus.TIMED_OUT, Reason.OVERRAN, f"ran out of its time after {spent * 1e3:.1f} ms")
        except OverloadedError as error:
            not_done(StageStatus.SKIPPED, Reason.OVERLOADED, str(error))
        except Exception as error:
            # A tier may raise anything; a ranking exists, so the answer goes on without it and says so.
            log.warning("stage_failed", cascade=self.name, stage=config.name, exc_info=error)
            not_done(StageStatus.FAILED, Reason.ERROR, _sentence(error))
        else:
            usage = scores.usage
            done = replace(
                trace,
                run_time=time.monotonic() - started,
                queue_time=usage.queue_time,
                tokens=usage.tokens,
                truncated=len(usage.truncations),
            )
            rest = before.candidates[len(head) :]
            progress.ended(done, own=own, best=own.followed_by(rest), cut=usage.truncations)


async def _within(budget: Budget, work: Awaitable[T]) -> T:
    """What `work` returns. Raises TimeoutError when the budget ends first; the work is cancelled then."""
    async with asyncio.timeout(budget.timeout):
        return await work


async def _score(tier: Tier, query: Query, head: Ranking, budget: Budget) -> Scores:
    return await tier.reranker.score(query, head.candidates, budget=budget) if len(head) else Scores(())


def _estimate(reranker: Reranker, query: Query, head: Ranking) -> float:
    return (
        reranker.estimate_cost(query, head.candidates) if isinstance(reranker, SupportsCostEstimate) else 0.0
    )


def _reorder(config: TierConfig, head: Ranking, scores: Scores) -> Ranking:
    """The head in the order of its scores, blended with the order it came in where the tier says so."""
    if len(scores.values) != len(head):
        raise StageError(
            config.name, f"it gave {len(scores.values)} scores for {len(head)} candidates, expected one each"
        )
    ranked = Ranking.from_scores(zip(head.doc_ids, scores.values, strict=True), config.name)
    if config.blend is None:
        return ranked
    weights = {"received": 1.0 - config.blend.weight, "tier": config.blend.weight}
    fuser = RrfFuser(config.name, rrf_k=config.blend.rrf_k, weights=weights)
    return fuser.fuse({"received": head, "tier": ranked})


def _retriever_trace(
    config: RetrieverConfig,
    corpus: Corpus,
    retrieval: Retrieval | None,
    error: BaseException | None,
    seconds: float,
) -> StageTrace:
    model = config.model if config.kind == "dense" else ""
    trace = StageTrace(
        config.name,
        config.kind,
        StageStatus.COMPLETED,
        candidates_in=corpus.size,
        run_time=seconds,
        model=model,
    )
    if retrieval is not None:
        out = min(len(retrieval.ranking), config.depth)
        usage = retrieval.usage
        return replace(trace, candidates_out=out, queue_time=usage.queue_time, tokens=usage.tokens)
    if isinstance(error, TimeoutError):
        detail = f"ran out of its time after {seconds * 1e3:.1f} ms"
        return replace(trace, status=StageStatus.TIMED_OUT, reason=Reason.OVERRAN, detail=detail)
    if isinstance(error, OverloadedError):
        return replace(trace, status=StageStatus.SKIPPED, reason=Reason.OVERLOADED, detail=str(error))
    log.warning("stage_failed", stage=config.name, exc_info=error)
    return replace(trace, status=StageStatus.FAILED, reason=Reason.ERROR, detail=_sentence(error))


def _no_ranking(stage: str, errors: Sequence[Exception]) -> CascadeError:
    """The error that says best why there is no ranking: one that names its cause before one that only says timeout."""
    for error in errors:
        if isinstance(error, CascadeError):
            return error
    if all(isinstance(error, TimeoutError) for error in errors):
        return BudgetExceededError(stage)
    failed = next(error for error in errors if not isinstance(error, TimeoutError))
    return StageError(stage, _sentence(failed))


def _sentence(error: BaseException | None) -> str:
    return str(error) if isinstance(error, CascadeError) else f"{type(error).__name__}: {error}"


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1e3

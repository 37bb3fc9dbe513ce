"""RankingService: ranks through a tenant's cascade, within the caller's deadline."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import grpc

from cascade.answer import Answer, Update
from cascade.budget import Account, Budget
from cascade.build import Models, bind_documents, bind_index
from cascade.config import CascadeConfig
from cascade.engine import Cascade
from cascade.errors import InvalidInputError, Violation
from cascade.stages import Corpus
from cascade_api.v1 import ranking_pb2, ranking_pb2_grpc
from cascade_server.accounting import Accounting
from cascade_server.convert.requests import RankQuery, rank_query
from cascade_server.convert.responses import rank_response
from cascade_server.indexes import Indexes
from cascade_server.interceptors.record import current
from cascade_server.metrics.rollouts import RolloutMetrics
from cascade_server.overload.gate import Entry, Gate
from cascade_server.rollout.serving import Chosen
from cascade_server.rollout.shadow import Copy, Shadows
from cascade_server.rollout.work import work_seconds
from cascade_server.settings import Settings
from cascade_server.status import shorten
from cascade_server.tenants import Tenant, Tenants
from cascade_server.walks import LARGE_BYTES, LARGE_PARTS, walked

Context = grpc.aio.ServicerContext[Any, Any]

# The answer has to be made and sent while the caller still listens: a fallback at the deadline reaches nobody.
_RESERVE_SECONDS = 0.005
_RESERVE_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class _Job:
    """One admitted request, ready to run."""

    entry: Entry
    asked: RankQuery
    chosen: Chosen
    bind: Callable[[CascadeConfig], Corpus]
    corpus: Corpus
    budget: Budget
    arrived: float

    @property
    def cascade(self) -> Cascade:
        """The version of the cascade that answers."""
        return self.chosen.cascade

    @property
    def tier_seconds(self) -> float | None:
        """What is left of the request's own budget, which counts from its arrival."""
        seconds = self.asked.tier_seconds
        return None if seconds is None else max(0.0, seconds - (time.monotonic() - self.arrived))

    def response(self, answer: Answer) -> ranking_pb2.RankResponse:
        """The message for `answer`."""
        return rank_response(answer, self.asked, self.chosen, self.corpus.version)


class RankingServicer(ranking_pb2_grpc.RankingServiceServicer):
    """Thin: requests are checked in `convert`, and all ranking is the engine's."""

    def __init__(
        self,
        tenants: Tenants,
        indexes: Indexes,
        models: Models,
        gate: Gate,
        accounting: Accounting,
        versions: RolloutMetrics,
        shadows: Shadows,
        settings: Settings,
    ) -> None:
        self._tenants = tenants
        self._indexes = indexes
        self._models = models
        self._gate = gate
        self._accounting = accounting
        self._versions = versions
        self._shadows = shadows
        self._settings = settings

    async def Rank(self, request: ranking_pb2.RankRequest, context: Context) -> ranking_pb2.RankResponse:
        """See the proto."""
        async with aclosing(self._updates(request, context, only_last=True)) as updates:
            # To its end: whoever closes it before has given up, and is charged the estimate.
            async for job, update in updates:
                last = job, update.answer
        return await self._fitting(*last)

    async def RankStream(
        self, request: ranking_pb2.RankStreamRequest, context: Context
    ) -> AsyncIterator[ranking_pb2.RankStreamResponse]:
        """See the proto."""
        async with aclosing(self._updates(request.request, context)) as updates:
            async for job, update in updates:
                response = await self._fitting(job, update.answer)
                yield ranking_pb2.RankStreamResponse(stage=update.stage, final=update.final, response=response)

    async def _updates(
        self, request: ranking_pb2.RankRequest, context: Context, *, only_last: bool = False
    ) -> AsyncGenerator[tuple[_Job, Update], None]:
        """Admit the request and run it."""
        tenant = self._tenants.get(current().acting_tenant)
        account = tenant.account
        budget = caller_budget(context, account)
        with self._gate.enter(account, tenant.quota) as entry:
            self._gate.check_documents(entry, len(request.documents))
            job = await self._job(entry, tenant, request, budget)
            plan = self._gate.plan(entry, job.cascade, job.asked, job.corpus, budget, job.tier_seconds)
            async with plan as admitted:
                updates = job.cascade.stream(
                    job.asked.query,
                    job.corpus,
                    top_k=job.asked.top_k,
                    budget=job.budget,
                    tier_seconds=job.tier_seconds,
                    min_probability=job.asked.min_probability,
                    with_documents=job.asked.include_text,
                    depths=admitted.depths,
                    only_last=only_last,
                )
                with self._accounting.bill(current()) as bill:
                    async with aclosing(updates):
                        async for update in updates:
                            admitted.ended(update.answer.trace)
                            billed = bill.add(update)
                            if billed.final:
                                self._compare(tenant, job, billed.answer, context)
                            yield job, billed

    async def _job(self, entry: Entry, tenant: Tenant, request: ranking_pb2.RankRequest, budget: Budget) -> _Job:
        """Check the request, and find what it names. Raises whatever is wrong with it."""
        arrived = time.monotonic()
        record, cascade = current(), request.cascade
        if cascade in tenant.serving:
            record.cascade = cascade
        record.fields.update(cascade=shorten(cascade, 63), top_k=request.top_k)
        asked = await walked(record.size > LARGE_BYTES, partial(rank_query, request, self._settings))
        chosen = tenant.choose(asked.cascade, asked.sticky_key)
        if asked.index:
            record.fields["index"] = asked.index
            index = await self._indexes.open(tenant.name, asked.index)
            bind = partial(bind_index, snapshot=index.snapshot, models=self._models)
        else:
            record.fields["documents"] = len(asked.documents)
            bind = partial(bind_documents, documents=asked.documents, models=self._models)
        return _Job(entry, asked, chosen, bind, bind(chosen.cascade.config), budget, arrived)

    def _compare(self, tenant: Tenant, job: _Job, answer: Answer, context: Context) -> None:
        """Have the answer counted for its version, and once it is sent have a shadow rank a copy of the request."""
        if self._versions.counts(tenant.name, job.cascade.name):
            part = "canary" if job.chosen.canary else "active"
            seconds = work_seconds(job.cascade.config, answer.trace)
            self._versions.answered(tenant.name, job.cascade.name, part, seconds, answer.degraded, answer.trace)
        if (shadow := job.chosen.shadow) is not None:
            ranked = None if answer.degraded else tuple(answer.ranking.doc_ids)
            copy = Copy(tenant.account, job.asked, job.bind, shadow, ranked)
            # Called when the call is over; its type is not importable.
            context.add_done_callback(cast("Any", lambda _context: self._shadows.offer(copy)))

    async def _fitting(self, job: _Job, answer: Answer) -> ranking_pb2.RankResponse:
        parts = len(answer.ranking) * (len(answer.stages) if job.asked.explain else 1)
        response = await walked(parts > LARGE_PARTS, partial(job.response, answer))
        size, limit = response.ByteSize(), self._settings.max_message_bytes
        # gRPC would end the call with an error that names nothing the caller could change.
        if size + 1024 > limit:
            message = f"the answer would have {size} bytes, more than a message of {limit} holds; ask for fewer results"
            raise InvalidInputError([Violation("include_text" if job.asked.include_text else "top_k", message)])
        return response


def caller_budget(context: Context, account: Account) -> Budget:
    """The time until the caller's deadline, less what it takes to get the answer there; on `account`."""
    # Typed as float, but None for a call without a deadline.
    remaining: float | None = context.time_remaining()
    if remaining is None:
        return Budget(account=account)
    seconds = max(0.0, remaining - max(_RESERVE_SECONDS, _RESERVE_SHARE * remaining))
    return Budget.of(seconds, account=account)

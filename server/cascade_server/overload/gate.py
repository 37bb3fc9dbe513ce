"""Who may start work now and at which plan: permits, quotas, and what the models' queues can still end in time."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass

from cascade.budget import Account, Budget
from cascade.engine import Cascade
from cascade.errors import CascadeError, OverloadedError
from cascade.inference.load import QueueLoad
from cascade.models import ModelKey
from cascade.stages import Corpus
from cascade.trace import StageStatus
from cascade_server.control.state import Quota
from cascade_server.convert.requests import RankQuery
from cascade_server.errors import QuotaExceededError, UnavailableError
from cascade_server.overload.admitted import Admitted
from cascade_server.overload.estimate import Estimates, Work
from cascade_server.overload.fit import Late, Place, Reason, Times, fit
from cascade_server.overload.ledger import Ledger
from cascade_server.overload.limit import GradientLimit, Pace
from cascade_server.overload.permits import SHORTEST_RETRY, Permit, Permits
from cascade_server.overload.quotas import Rates, check_depth, check_documents, check_tokens

_REASONS = {
    "max_concurrent_requests": Reason.CONCURRENCY,
    "tokens_per_second": Reason.RATE,
    "burst_tokens": Reason.RATE,
    "max_depth": Reason.DEPTH,
    "max_documents": Reason.DOCUMENTS,
    "max_request_tokens": Reason.REQUEST_TOKENS,
}

_MEASURED = (StageStatus.COMPLETED, StageStatus.REDUCED, StageStatus.TIMED_OUT)
_UNNOTICED_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Entry:
    """A request that has come in; it may not work before its plan is made."""

    permit: Permit
    quota: Quota


class Gate:
    """Decides on the event loop, without waiting for anything but the count of a quota: nothing queues for it.

    Unless `adaptive` it refuses only by what is configured: permits and quotas.
    """

    def __init__(
        self,
        permits: Permits,
        rates: Rates,
        loads: Callable[[ModelKey], QueueLoad | None],
        refused: Callable[[str, str], None] = lambda _tenant, _reason: None,
        limited: Callable[[str, float], None] = lambda _model, _tokens: None,
        *,
        max_wait: float,
        adaptive: bool = True,
    ) -> None:
        """`loads` gives what waits for a model now, and `max_wait` is the longest expected wait, in seconds.

        `refused` hears the tenant and the reason of every refusal, `limited` the limit of a model when it changes.
        """
        self._permits = permits
        self._rates = rates
        self._loads = loads
        self._refused = refused
        self._limited = limited
        self._max_wait = max_wait
        self._adaptive = adaptive
        self._estimates = Estimates()
        self._ledger = Ledger()
        self._limits: dict[ModelKey, GradientLimit] = {}
        self._paces: dict[ModelKey, Pace] = {}

    @contextmanager
    def enter(self, account: Account, quota: Quota) -> Iterator[Entry]:
        """Room for one request of the tenant that `account` is named after, for the length of the block.

        Raises UnavailableError, OverloadedError, and QuotaExceededError, without waiting.
        """
        with ExitStack() as stack:
            with self._counting(account.name):
                permit = stack.enter_context(self._permits.take(account, quota.max_concurrent_requests))
            yield Entry(permit, quota)

    def check_documents(self, entry: Entry, documents: int) -> None:
        """Raises QuotaExceededError for more documents than a request of this tenant may bring."""
        tenant = entry.permit.account.name
        with self._counting(tenant):
            check_documents(tenant, entry.quota, documents)

    @asynccontextmanager
    async def plan(
        self,
        entry: Entry,
        cascade: Cascade,
        asked: RankQuery,
        corpus: Corpus,
        budget: Budget,
        tier_seconds: float | None = None,
    ) -> AsyncIterator[Admitted]:
        """Leave to do the work of `asked`; whoever gets it tells it which stages have ended.

        Raises QuotaExceededError for what the tenant may not ask for, or not yet; OverloadedError when it is the load
        of the server that would keep the request from its full plan, unless the cascade allows a cheaper one. In the
        end the tenant is charged what was read; of a request that its caller gave up, at least what was expected.
        """
        account, quota = entry.permit.account, entry.quota
        key = (account.name, cascade.name, asked.index)
        with self._counting(account.name):
            check_depth(account.name, quota, cascade.config)
            works = self._estimates.of(key, cascade.config, asked.query.text, asked.documents, corpus)
            check_tokens(account.name, quota, sum(work.tokens for work in works))
        places = [self._place(work, account) for work in works]
        depths = self._depths(account, cascade, places, budget, tier_seconds)
        planned = [work.at(depths.get(work.stage, work.depth)) for work in works]
        # Promised before the first await, so that those who come in the meantime see it.
        admitted = Admitted(depths, planned, account, self._ledger)
        charged = used = 0
        try:
            with self._counting(account.name):
                charged = used = await self._rates.charge(account.name, quota, admitted.tokens)
            try:
                yield admitted
                used = admitted.used
            except CascadeError:
                used = admitted.used
                raise
        finally:
            admitted.close()
            await self._rates.settle(account.name, quota, charged, max(used, admitted.used))
            self._learn(key, places, admitted)

    async def aclose(self) -> None:
        """Release what counts quotas."""
        await self._rates.aclose()

    def _place(self, work: Work, account: Account) -> Place:
        load = None if work.model is None else self._loads(work.model)
        if work.model is None or load is None:
            return Place(work)
        ahead = self._ledger.over(work.model, load).ahead(account, work.tokens)
        limit = self._limits.setdefault(work.model, GradientLimit())
        pace = self._paces.setdefault(work.model, Pace())
        # What waits this short is not worth refusing for: it may be one slow batch.
        least = _UNNOTICED_SECONDS / load.seconds_per_token if load.seconds_per_token > 0 else math.inf
        return Place(work, ahead, load.seconds_per_token, max(limit.tokens, least), pace.factor)

    def _depths(
        self, account: Account, cascade: Cascade, places: list[Place], budget: Budget, tier_seconds: float | None
    ) -> Mapping[str, int]:
        if not self._adaptive:
            return {}
        budget_ms = cascade.config.budget_ms
        limits = (
            math.inf if budget_ms is None else budget_ms / 1e3,
            math.inf if tier_seconds is None else tier_seconds,
        )
        times = Times(budget.remaining, min(limits), self._max_wait)
        found = fit(places, times, cheaper=cascade.config.on_overload == "cheaper")
        if isinstance(found, Late):
            self._refused(account.name, found.reason.value)
            model = next(place.work.model for place in places if place.work.stage == found.stage)
            what = f"model {model[1]!r} of stage {found.stage!r}" if model else f"stage {found.stage!r}"
            raise OverloadedError(what, max(SHORTEST_RETRY, found.seconds))
        return found

    def _learn(self, key: tuple[str, ...], places: list[Place], admitted: Admitted) -> None:
        self._estimates.learn(key, admitted.works, admitted.trace)
        ended = {stage.stage: stage for stage in admitted.trace}
        for place in places:
            stage, model = ended.get(place.work.stage), place.work.model
            if stage is None or model is None or stage.status not in _MEASURED or model not in self._limits:
                continue
            if stage.cached and not stage.tokens:
                continue  # the model was not asked: how soon this was done says nothing of how busy it is
            tokens = stage.tokens or place.work.tokens
            limit, foretold = self._limits[model], (place.ahead + tokens) * place.rate
            limit.observe(tokens, tokens * place.rate, stage.run_time, place.ahead)
            # What ran out of time would have taken at least so long.
            if stage.status is not StageStatus.TIMED_OUT or stage.run_time > foretold:
                self._paces[model].observe(foretold, stage.run_time)
            self._limited(model.reference, limit.tokens)

    @contextmanager
    def _counting(self, tenant: str) -> Iterator[None]:
        try:
            yield
        except QuotaExceededError as error:
            self._refused(tenant, _REASONS[error.quota].value)
            raise
        except (OverloadedError, UnavailableError) as error:
            reason = Reason.STARTING if isinstance(error, UnavailableError) else Reason.CONCURRENCY
            self._refused(tenant, reason.value)
            raise

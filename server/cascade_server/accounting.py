"""Every answer accounted for: in its own trace, the request's log line, the metrics, and its tenant's usage."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from cascade.answer import Answer, Update
from cascade_server.interceptors.record import Record
from cascade_server.metrics import Metrics
from cascade_server.pricing import priced
from cascade_server.usage import UsageCounter


class Bill:
    """What was done for one request so far: `last` is its latest update, priced."""

    def __init__(self, prices: Mapping[str, float]) -> None:
        self._prices = prices
        self.last: Update | None = None

    def add(self, update: Update) -> Update:
        """`update` with the cost of every stage in its trace."""
        if self._prices:
            update = replace(update, answer=replace(update.answer, trace=priced(update.answer.trace, self._prices)))
        self.last = update
        return update


class Accounting:
    """What is sent, measured and charged for an answer is the same trace."""

    def __init__(self, metrics: Metrics, usage: UsageCounter, prices: Mapping[str, float]) -> None:
        """`prices` is money per million tokens, by model as cascades name it."""
        self._metrics = metrics
        self._usage = usage
        self._prices = prices

    @contextmanager
    def bill(self, record: Record) -> Iterator[Bill]:
        """The bill of the request that `record` is about, settled after the end of the block, however that comes.

        An answer is counted in the event loop's next step, when it is on its way: its caller need not wait for that. A
        caller that leaves before the last update has no answer; what was done until then was used all the same.
        """
        bill = Bill(self._prices)
        try:
            yield bill
        finally:
            if bill.last is not None and bill.last.final:
                self._answered(record, bill.last.answer)
            elif bill.last is not None:
                self._usage.abandoned(record.tenant, record.cascade, bill.last.answer.trace)

    def _answered(self, record: Record, answer: Answer) -> None:
        record.fields.update(results=len(answer.ranking), degraded=answer.degraded)
        if answer.degraded:
            record.fields["degraded_stages"] = {t.stage: t.reason.value for t in answer.trace if t.reason}
        # With the whole answer, so that its many parts are not let go before it is sent either.
        asyncio.get_running_loop().call_soon(self._count, record, answer)

    def _count(self, record: Record, answer: Answer) -> None:
        self._metrics.stages(record.tenant, record.cascade, answer.trace)
        self._usage.answered(record.tenant, record.cascade, answer.trace)

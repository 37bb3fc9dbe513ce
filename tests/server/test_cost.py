"""Tokens and money of real answers: in the trace, in the metrics, and in the store as the tenant's usage."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cascade.answer import Answer, Update
from cascade.config import CascadeConfig
from cascade.trace import StageStatus, StageTrace
from cascade.types import Ranking
from cascade_server.accounting import Accounting
from cascade_server.control.state import Usage
from cascade_server.control.store import Store
from cascade_server.interceptors.record import Record
from cascade_server.metrics import Metrics
from cascade_server.usage import UsageCounter

pytestmark = pytest.mark.asyncio(loop_scope="session")

ENCODER = "embedded:all-minilm-l6-v2"


def used(folder: Path) -> list[Usage]:
    """What the store of a server that worked in `folder` says of every tenant."""
    store = Store(f"sqlite:///{folder / 'control.db'}")
    try:
        return list(store.usage(None))
    finally:
        store.close()


async def test_an_answer_says_what_it_cost_and_so_do_metrics_and_usage(
    serve: Any, configs: Mapping[str, CascadeConfig], tmp_path: Path
) -> None:
    async with serve(tmp_path, configs, prices={ENCODER: 2.0}) as running:
        answers = [await running.rank(cascade="mixed"), await running.rank(cascade="mixed")]
        stages = {t.stage: t for t in answers[0].trace}
        labels = {"tenant": "default", "cascade": "mixed", "stage": "dense"}
        tokens = await running.metric("cascade_tokens_total", **labels)
        cost = await running.metric("cascade_cost_total", **labels)
    assert stages["dense"].tokens > 0
    assert stages["dense"].cost == stages["dense"].tokens * 2.0 / 1e6
    assert not stages["bm25"].HasField("cost")
    assert tokens == sum(t.tokens for answer in answers for t in answer.trace)
    assert cost == pytest.approx(tokens * 2.0 / 1e6)
    (row,) = used(tmp_path)
    assert (row.tenant, row.cascade, row.requests, row.degraded, row.tokens) == ("default", "mixed", 2, 0, tokens)
    assert row.cost == pytest.approx(cost)


async def test_without_prices_nothing_has_a_cost(
    serve: Any, configs: Mapping[str, CascadeConfig], tmp_path: Path
) -> None:
    async with serve(tmp_path, {"plain": configs["plain"]}) as running:
        answer = await running.rank()
        assert not any(t.HasField("cost") for t in answer.trace)
        assert not any(name == "cascade_cost_total" for name, _ in await running.metrics())
    (row,) = used(tmp_path)
    assert (row.requests, row.tokens, row.cost) == (1, 0, None)


async def test_refused_requests_are_nobody_s_usage(
    serve: Any, configs: Mapping[str, CascadeConfig], refused: Any, tmp_path: Path
) -> None:
    async with serve(tmp_path, {"plain": configs["plain"]}) as running:
        await refused(running.rank(cascade="made-up"))
        await refused(running.rank(query=""))
    assert used(tmp_path) == []


def update(tokens: int, *, final: bool) -> Update:
    trace = (StageTrace("dense", "dense", StageStatus.COMPLETED, model=ENCODER, tokens=tokens),)
    return Update("dense", final, Answer(Ranking(()), {}, trace))


@pytest.mark.parametrize(("final", "requests"), [(True, 1), (False, 0)])
async def test_what_was_done_for_a_caller_that_left_is_used_and_not_answered(final: bool, requests: int) -> None:
    rows: list[Usage] = []
    usage = UsageCounter(rows.extend, day=lambda: "2026-01-31")
    metrics = Metrics()
    accounting = Accounting(metrics, usage, {ENCODER: 2.0})
    record = Record("/cascade_api.v1.RankingService/RankStream", tenant="acme", cascade="search")
    with accounting.bill(record) as bill:
        bill.add(update(100, final=False))
        assert bill.add(update(250, final=final)).answer.trace[0].cost == 0.0005
    await usage.flush()
    assert rows == [Usage("acme", "search", "2026-01-31", requests=requests, tokens=250, cost=0.0005)]


async def test_a_request_that_came_to_nothing_has_no_bill() -> None:
    rows: list[Usage] = []
    usage = UsageCounter(rows.extend)
    with Accounting(Metrics(), usage, {}).bill(Record("/cascade_api.v1.RankingService/Rank")):
        pass
    await usage.flush()
    assert rows == []

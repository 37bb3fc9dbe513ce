"""A busy server refuses at once and says why and when to come back, or answers by a cheaper plan and says that."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio

from cascade.budget import Budget
from cascade.config import parse
from cascade.inference.cross_encoder import CrossEncoderModel
from cascade_api.v1 import index_pb2, ranking_pb2, server_pb2, trace_pb2
from cascade_server.control.state import Quota
from cascade_server.control.store import Store

pytestmark = pytest.mark.asyncio(loop_scope="session")

READ = "retrieve: [{kind: bm25}]\ntiers: [{kind: cross_encoder, name: read, depth: 4}]\n"
MODEL = "embedded:cross-encoder"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def reading(serve: Any, configs: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Any]:
    """A server that lets nobody wait for the cross-encoder that two of its cascades have, and knows its rate."""
    cascades = {
        "plain": configs["plain"],
        "strict": parse(READ, "strict"),
        "thrifty": parse(READ + "on_overload: cheaper\n", "thrifty"),
    }
    async with serve(tmp_path_factory.mktemp("reading"), cascades, max_wait_ms=0.001) as running:
        await running.rank(cascade="strict")
        yield running


@asynccontextmanager
async def busy(running: Any) -> AsyncIterator[None]:
    """The cross-encoder hangs for the length of the block."""
    started, release = threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        release.wait()

    queue = running.server.models.get(CrossEncoderModel, MODEL).queue
    job = asyncio.ensure_future(queue.run(work, budget=Budget(), tokens=1000))
    try:
        await asyncio.to_thread(started.wait)
        yield
    finally:
        release.set()
        await job


async def test_what_would_wait_too_long_is_refused_with_a_time_to_retry(reading: Any, refused: Any) -> None:
    async with busy(reading):
        refusal = await refused(reading.rank(cascade="strict"))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
        assert refusal.retry_after > 0
        assert "'read'" in refusal.message
        assert (await reading.rank(cascade="plain")).results, "which needs no model"
    assert await reading.metric("cascade_gate_refused_total", tenant="default", reason="expected_late") == 1
    assert not (await reading.rank(cascade="strict")).degraded


async def test_a_cascade_that_allows_it_is_answered_without_the_busy_tier(reading: Any) -> None:
    async with busy(reading):
        answer = await reading.rank(cascade="thrifty")
        updates = await reading.stream(cascade="thrifty")
    assert answer.degraded
    assert answer.results
    (tier,) = (t for t in answer.trace if t.stage == "read")
    assert (tier.status, tier.reason) == (trace_pb2.STAGE_STATUS_SKIPPED, "overloaded")
    assert updates[-1].response.degraded
    assert not (await reading.rank(cascade="thrifty")).degraded


async def test_a_full_server_refuses_a_rank_request_with_a_time_to_retry(
    serve: Any, configs: Any, hung: Any, refused: Any, tmp_path: Path
) -> None:
    async with serve(tmp_path, configs, overload="fixed", max_concurrent_requests=3) as full, hung(full) as arrived:
        waiting = [asyncio.ensure_future(full.rank(cascade="meaning")) for _ in range(3)]
        await arrived(3)
        refusal = await refused(full.rank(cascade="plain"))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
        assert refusal.retry_after > 0
        for call in waiting:
            call.cancel()
        await asyncio.wait(waiting)
        await arrived(0)
        assert (await full.rank(cascade="plain")).results
        assert await full.metric("cascade_gate_refused_total", tenant="default", reason="concurrency") == 1


def limited(folder: Path, quota: Quota) -> None:
    """Give the default tenant of the server in `folder` a quota."""
    store = Store(f"sqlite:///{folder / 'control.db'}")
    store.migrate()
    store.set_quota("test", "default", quota)
    store.close()


@pytest.mark.parametrize(
    ("quota", "facts"),
    [
        (Quota(max_documents=3), {"quota": "max_documents", "found": "4", "limit": "3"}),
        (Quota(max_depth=50), {"quota": "max_depth", "found": "100", "limit": "50", "stage": "bm25"}),
    ],
)
async def test_a_request_beyond_a_cap_is_refused_for_good(
    quota: Quota, facts: dict[str, str], serve: Any, configs: Any, refused: Any, tmp_path: Path
) -> None:
    limited(tmp_path, quota)
    async with serve(tmp_path, {"plain": configs["plain"]}) as capped:
        refusal = await refused(capped.rank())
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED")
        assert facts.items() <= refusal.facts.items()
        assert refusal.retry_after is None


async def test_a_tenant_over_its_rate_is_told_when_its_request_fits(serve: Any, refused: Any, tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{nobody.getsockname()[1]}"
        limited(tmp_path, Quota(tokens_per_second=0.01, burst_tokens=100))
        async with serve(tmp_path, {"strict": parse(READ, "strict")}, redis_url=url) as slow:
            assert (await slow.info.GetInfo(server_pb2.GetInfoRequest())).quota.burst_tokens == 100
            calls = [slow.rank(cascade="strict") for _ in range(10)]
            answers = await asyncio.gather(*calls, return_exceptions=True)
            assert any(isinstance(answer, ranking_pb2.RankResponse) for answer in answers)
            refusal = await refused(slow.rank(cascade="strict"))
            assert (refusal.reason, refusal.facts["quota"]) == ("QUOTA_EXCEEDED", "tokens_per_second")
            assert refusal.retry_after > 1
            assert await slow.metric("cascade_quotas_shared") == 0


async def test_upserts_have_their_own_limit(serve: Any, configs: Any, refused: Any, texts: Any, tmp_path: Any) -> None:
    async with serve(tmp_path, {"plain": configs["plain"]}, max_concurrent_upserts=1) as small:
        begun = small.indexes.UpsertDocuments()
        await begun.write(index_pb2.UpsertDocumentsRequest(index="fruit", documents=texts("a", named=True)))
        await small.in_progress(1)
        refusal = await refused(small.upsert("fruit", texts("b", named=True)))
        assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert refusal.retry_after > 0
        assert (await small.rank()).results
        await begun.done_writing()
        assert (await refused(begun)).code is grpc.StatusCode.NOT_FOUND


async def test_a_tenant_is_charged_what_its_answers_read_and_no_estimate(serve: Any, tmp_path: Path) -> None:
    limited(tmp_path, Quota(tokens_per_second=0.01, burst_tokens=100))
    async with serve(tmp_path, {"hasty": parse(READ + "budget_ms: 0.001\n", "hasty")}) as running:
        for _ in range(10):
            (tier,) = (t for t in (await running.rank(cascade="hasty")).trace if t.stage == "read")
            assert (tier.status, tier.tokens) == (trace_pb2.STAGE_STATUS_SKIPPED, 0)

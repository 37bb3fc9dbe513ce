"""Callers who stop reading or sending in the middle of a call hold nothing for longer than they are allowed."""

from __future__ import annotations

import asyncio
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import pytest

from cascade.errors import OverloadedError
from cascade_api.v1 import document_pb2, index_pb2, ranking_pb2, ranking_pb2_grpc
from cascade_client import Client, DeadlineError, Document
from cascade_server.errors import StalledError
from cascade_server.interceptors.stalls import Unread, patience

pytestmark = pytest.mark.asyncio(loop_scope="session")

LATE = grpc.StatusCode.DEADLINE_EXCEEDED
FULL = grpc.StatusCode.RESOURCE_EXHAUSTED


def large(count: int = 8) -> list[document_pb2.Document]:
    """Documents whose texts together are more than a connection holds of what its peer does not read."""
    return [document_pb2.Document(text=f"red apples {number} " + "x" * 900_000) for number in range(count)]


def unread_stream(running: Any) -> Any:
    """A stream of updates of 7 MB each, which nobody reads."""
    request = running.request(documents=large(), include_text=True)
    stub = ranking_pb2_grpc.RankingServiceStub(running.channel)
    return stub.RankStream(ranking_pb2.RankStreamRequest(request=request), metadata=running.metadata)


async def answered_in_the_end(running: Any) -> None:
    """Return when a request is no longer refused for want of room."""
    while (code := await running.rank().code()) is not grpc.StatusCode.OK:
        if code is not FULL:
            raise AssertionError(f"found {code}")


async def test_a_caller_that_does_not_read_its_stream_holds_a_permit_only_so_long(
    serve: Any, configs: Any, tmp_path: Path
) -> None:
    settings = {"send_timeout_seconds": 0.1, "max_concurrent_requests": 1}
    async with serve(tmp_path, {"plain": configs["plain"]}, **settings) as running:
        stream = unread_stream(running)
        await running.in_progress(1)
        await answered_in_the_end(running)
        # Its status is on the way until the caller takes it or leaves, and it counts as in progress until then.
        await running.in_progress(1)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            _ = [update async for update in stream]
        assert caught.value.code() is LATE
        assert "did not read its answer for 0.1 s" in str(caught.value.details())
        await running.in_progress(0)


async def test_a_caller_that_reads_slowly_but_reads_gets_all(serve: Any, configs: Any, tmp_path: Path) -> None:
    async with serve(tmp_path, {"plain": configs["plain"]}) as running:
        updates = [update async for update in unread_stream(running)]
        assert [update.final for update in updates].count(True) == 1
        assert len(updates[-1].response.results) == 8


async def test_what_a_tenant_leaves_unread_is_bounded_and_given_back(
    serve: Any, configs: Any, refused: Any, tmp_path: Path
) -> None:
    async with serve(tmp_path, {"plain": configs["plain"]}, max_unread_bytes=2_000_000) as running:
        stream = unread_stream(running)
        while await (call := running.rank()).code() is grpc.StatusCode.OK:
            assert (await call).results
        refusal = await refused(call)
        assert refusal.code is FULL
        assert "unread bytes" in refusal.message
        stream.cancel()
        await answered_in_the_end(running)
        # Answers that are read are not held against anybody, however many they are.
        for _ in range(5):
            assert (await running.rank(documents=large(2), include_text=True)).results


@pytest.mark.parametrize("messages", [0, 1])
async def test_an_upsert_that_stops_in_the_middle_ends(
    serve: Any, configs: Any, refused: Any, tmp_path: Path, messages: int
) -> None:
    settings = {"receive_timeout_seconds": 0.1, "max_concurrent_upserts": 1}
    async with serve(tmp_path, {"plain": configs["plain"]}, **settings) as running:
        upsert = running.indexes.UpsertDocuments(metadata=running.metadata)
        for _ in range(messages):
            await upsert.write(index_pb2.UpsertDocumentsRequest(index="notes"))
        refusal = await refused(upsert)
        assert (refusal.code, refusal.reason) == (LATE, "STALLED")
        assert refusal.message == "the caller sent nothing for 0.1 s; the call ends here, and nothing was changed"
        # Its permit, the only one, is free: the next is told that there is no such index.
        assert (await refused(running.upsert("notes", []))).code is grpc.StatusCode.NOT_FOUND


async def test_an_upsert_that_drips_for_ever_ends(serve: Any, configs: Any, tmp_path: Path) -> None:
    async with serve(tmp_path, {"plain": configs["plain"]}, max_upsert_seconds=0.2) as running:
        drops = (Document(str(number), "a drop") for number in count())
        with Client(f"127.0.0.1:{running.server.port}") as client, pytest.raises(DeadlineError) as caught:
            await asyncio.to_thread(client.upsert, "notes", drops, batch=1)
        assert "did not come to its end" in caught.value.message


async def test_time_that_runs_out_inside_is_not_the_callers_fault() -> None:
    with pytest.raises(TimeoutError) as caught:
        async with patience(60.0, "did nothing"):
            raise TimeoutError("of another kind")
    assert not isinstance(caught.value, StalledError)


async def test_a_tenant_s_unread_answers_are_its_own() -> None:
    unread = Unread(100)
    release = unread.hold("acme", 60)
    unread.check("acme")
    other = unread.hold("acme", 60)
    with pytest.raises(OverloadedError, match="120 unread bytes"):
        unread.check("acme")
    unread.check("calm")
    release()
    release()
    unread.check("acme")
    other()
    unread.check("acme")

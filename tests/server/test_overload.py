"""A full server refuses at once and says when to come back; one that starts or stops refuses too."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from cascade.errors import OverloadedError
from cascade_api.v1 import index_pb2
from cascade_server.admission import Admission, UnavailableError

pytestmark = pytest.mark.asyncio(loop_scope="session")


def opened(limit: int) -> Admission:
    admission = Admission(limit)
    admission.open()
    return admission


async def test_no_more_permits_are_out_than_the_limit() -> None:
    admission = opened(2)
    with admission.admit() as first, admission.admit() as second:
        assert first != second
        with pytest.raises(OverloadedError) as refused, admission.admit():
            raise AssertionError("a third permit was given")
        assert refused.value.retry_after > 0
    with admission.admit():
        pass


async def test_a_permit_comes_back_when_its_work_fails() -> None:
    admission = opened(1)
    for _ in range(3):
        with pytest.raises(ValueError, match="work"), admission.admit():
            raise ValueError("work")


async def test_nothing_is_admitted_before_opening() -> None:
    admission = Admission(1)
    with pytest.raises(UnavailableError, match="the server is starting"), admission.admit():
        raise AssertionError("admitted")
    admission.open()
    with admission.admit() as permit:
        assert permit


async def test_a_full_server_refuses_a_rank_request_with_a_time_to_retry(library: Any, hung: Any, refused: Any) -> None:
    limit = library.server.settings.max_concurrent_requests
    async with hung(library) as arrived:
        waiting = [asyncio.ensure_future(library.rank(cascade="meaning")) for _ in range(limit)]
        await arrived(limit)
        refusal = await refused(library.rank(cascade="plain"))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
        assert refusal.retry_after > 0
        for call in waiting:
            call.cancel()
        await asyncio.wait(waiting)
        await arrived(0)
        assert (await library.rank(cascade="plain")).results


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

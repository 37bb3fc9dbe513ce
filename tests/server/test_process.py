"""The server as a process: signals, exit status, log."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from cascade_api.v1 import document_pb2, index_pb2, index_pb2_grpc, ranking_pb2, ranking_pb2_grpc
from tests.server.process import GOOD, metrics, started, without_models

pytestmark = pytest.mark.asyncio(loop_scope="session")

NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def cascades(tmp_path: Path) -> Path:
    """The default tenant's folder, with presets that need no models."""
    return without_models(tmp_path)


async def rank(channel: grpc.aio.Channel, cascade: str) -> ranking_pb2.RankResponse:
    request = ranking_pb2.RankRequest(
        cascade=cascade, query="apple", top_k=1, documents=[document_pb2.Document(text="apple")]
    )
    return await ranking_pb2_grpc.RankingServiceStub(channel).Rank(request)


async def in_progress(port: int) -> bool:
    return "cascade_requests_in_progress 1.0" in await metrics(port)


async def test_sigterm_finishes_what_is_in_progress_and_takes_nothing_new(tmp_path: Path, cascades: Path) -> None:
    async with started(tmp_path) as process:
        ports = await process.event("listening")
        await process.event("ready")
        async with grpc.aio.insecure_channel(f"127.0.0.1:{ports['port']}") as channel:
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            await watch.read()
            upsert = index_pb2_grpc.IndexServiceStub(channel).UpsertDocuments()
            await upsert.write(index_pb2.UpsertDocumentsRequest(index="absent"))
            while not await in_progress(ports["metrics_port"]):  # noqa: ASYNC110  # over HTTP, as an operator would
                await asyncio.sleep(0.01)
            process.signal(signal.SIGTERM)
            assert (await watch.read()).status == NOT_SERVING
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await rank(channel, "fast")
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
            await upsert.done_writing()
            with pytest.raises(grpc.aio.AioRpcError) as answered:
                await upsert
            assert answered.value.code() is grpc.StatusCode.NOT_FOUND
        assert await process.exit_status() == 0
    assert [line["code"] for line in process.log if line["event"] == "request"][-1] == "NOT_FOUND"
    assert process.log[-1]["event"] == "stopped"


async def test_sighup_reads_the_cascades_again_and_keeps_the_last_good(tmp_path: Path, cascades: Path) -> None:
    async with started(tmp_path) as process:
        ports = await process.event("listening")
        await process.event("ready")
        async with grpc.aio.insecure_channel(f"127.0.0.1:{ports['port']}") as channel:
            (cascades / "mine.yaml").write_text("retreive: [{kind: bm25}]")
            (cascades / "fast.yaml").write_text("retrieve: [{kind: bm25, depth: 7}]")
            process.signal(signal.SIGHUP)
            refusal = await process.event("reload_refused")
            assert "mine.yaml: retreive: unknown key" in refusal["problem"]
            before = (await rank(channel, "fast")).provenance.config_hash
            with pytest.raises(grpc.aio.AioRpcError) as absent:
                await rank(channel, "mine")
            assert absent.value.code() is grpc.StatusCode.NOT_FOUND

            (cascades / "mine.yaml").write_text(GOOD)
            process.signal(signal.SIGHUP)
            await process.event("reloaded")
            assert (await rank(channel, "mine")).results
            assert (await rank(channel, "fast")).provenance.config_hash != before
        process.signal(signal.SIGTERM)
        assert await process.exit_status() == 0


async def test_cascades_that_are_not_valid_stop_the_start_with_every_problem(tmp_path: Path, cascades: Path) -> None:
    (cascades / "one.yaml").write_text("retreive: []")
    (cascades / "two.yaml").write_text("retrieve: [{kind: dence}]")
    async with started(tmp_path) as process:
        assert await process.exit_status() == 2
    problems = " ".join(next(line for line in process.log if line["event"] == "cannot_start")["problems"])
    assert "one.yaml: retreive: unknown key" in problems
    assert "two.yaml: retrieve.0" in problems


async def test_a_setting_out_of_bounds_is_named() -> None:
    command = (sys.executable, "-m", "cascade_server", "--max-top-k", "0")
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    _, said = await process.communicate()
    assert process.returncode == 2
    assert said.decode() == "CASCADE_MAX_TOP_K: Input should be greater than or equal to 1, found '0'\n"


async def test_a_store_that_cannot_be_used_stops_the_start_by_the_name_of_its_setting(
    tmp_path: Path, cascades: Path
) -> None:
    async with started(tmp_path, "--store-url", "mysql://me:hush@host/name") as process:
        assert await process.exit_status() == 2
    (line,) = (line for line in process.log if line["event"] == "cannot_start")
    assert line["source"] == "CASCADE_STORE_URL"
    assert "hush" not in str(line)

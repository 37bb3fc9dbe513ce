"""Several processes on one port: both answer, one that ends is restarted, and all drain."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog

from cascade.errors import ConfigError
from cascade_api.v1 import document_pb2, ranking_pb2, ranking_pb2_grpc
from cascade_server.settings import Settings
from cascade_server.workers.link import Orders, Ready
from cascade_server.workers.port import shared_port
from cascade_server.workers.supervisor import Supervisor
from tests.server.process import GOOD, Process, metrics, started, without_models

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def cascades(tmp_path: Path) -> Path:
    """The default tenant's folder, with presets that need no models."""
    return without_models(tmp_path)


async def all_ready(process: Process) -> dict[int, dict[str, Any]]:
    """What is said of each worker when all are ready."""
    await process.event("workers_ready")
    return {line["worker"]: line for line in process.log if line["event"] == "worker_ready"}


async def rank(port: int) -> ranking_pb2.RankResponse:
    """Over a connection of its own, which the kernel gives to either worker."""
    request = ranking_pb2.RankRequest(
        cascade="fast", query="apple", top_k=1, documents=[document_pb2.Document(text="apple")]
    )
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) as channel:
        return await ranking_pb2_grpc.RankingServiceStub(channel).Rank(request, wait_for_ready=True)


async def ranked(metrics_port: int) -> int:
    """How many requests the worker with these metrics has answered."""
    lines = (await metrics(metrics_port)).splitlines()
    return sum(int(float(line.split()[-1])) for line in lines if line.startswith("cascade_requests_total{"))


async def test_workers_share_a_port_are_restarted_when_they_end_and_drain_together(
    tmp_path: Path, cascades: Path
) -> None:
    async with started(tmp_path, workers="2") as process:
        workers = await all_ready(process)
        port = next(line["port"] for line in process.log if line["event"] == "workers_starting")
        ports = [workers[number]["metrics_port"] for number in (0, 1)]
        while not all([await ranked(one) for one in ports]):
            assert (await rank(port)).results

        os.kill(workers[0]["pid"], signal.SIGKILL)
        ended = await process.event("worker_ended")
        assert (ended["worker"], ended["status"]) == (0, -signal.SIGKILL)
        assert (await rank(port)).results
        again = await process.event("worker_ready")
        assert again["worker"] == 0
        assert again["pid"] != workers[0]["pid"]
        while not await ranked(again["metrics_port"]):
            assert (await rank(port)).results

        process.signal(signal.SIGTERM)
        assert await process.exit_status() == 0
    assert sorted(line["worker"] for line in process.log if line["event"] == "stopped") == [0, 1]
    assert process.log[-1]["event"] == "workers_stopped"
    assert any(line["event"] == "quotas_per_worker" for line in process.log)


async def test_workers_that_cannot_start_stop_the_start(tmp_path: Path, cascades: Path) -> None:
    (cascades / "one.yaml").write_text("retreive: []")
    async with started(tmp_path, workers="2") as process:
        assert await process.exit_status() == 2
    assert any(line["event"] == "cannot_start" and "worker" in line for line in process.log)


async def test_workers_end_with_their_supervisor(tmp_path: Path, cascades: Path) -> None:
    async with started(tmp_path, workers="2") as process:
        await all_ready(process)
        process.signal(signal.SIGKILL)
        assert await process.exit_status() == -signal.SIGKILL  # the log ends once the last of them has
    assert sorted(line["worker"] for line in process.log if line["event"] == "stopped") == [0, 1]


async def test_a_reload_reaches_every_worker(tmp_path: Path, cascades: Path) -> None:
    async with started(tmp_path, workers="2") as process:
        await all_ready(process)
        (cascades / "mine.yaml").write_text(GOOD)
        process.signal(signal.SIGHUP)
        assert {(await process.event("reloaded"))["worker"] for _ in range(2)} == {0, 1}
        process.signal(signal.SIGTERM)
        assert await process.exit_status() == 0


async def test_a_port_that_another_server_has_is_not_shared_with_it() -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as other:
        port = other.getsockname()[1]
        with (
            pytest.raises(ConfigError, match=f"127.0.0.1:{port} cannot be listened on"),
            shared_port("127.0.0.1", port),
        ):
            raise AssertionError("the port was taken")


async def test_a_free_port_stays_free_while_it_is_shared() -> None:
    with shared_port("127.0.0.1", 0) as port, shared_port("127.0.0.1", 0) as other:
        assert port != other
        where = ("127.0.0.1", port)
        with socket.create_server(where, reuse_port=True), socket.create_connection(where) as connection:
            assert connection.getpeername()[1] == port


async def test_orders_carry_every_setting() -> None:
    settings = Settings(port=1, metrics_port=None, prices={"m": 0.5}, model_roots=(Path("/models"),), workers=1)
    assert Orders.from_line(Orders(3, settings).to_line()) == Orders(3, settings)


async def test_a_process_that_cannot_be_made_now_is_made_later(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    supervisor = Supervisor(Settings(port=0, metrics_port=0, workers=2))
    with structlog.testing.capture_logs() as lines:
        running = asyncio.create_task(supervisor.run())
        while {line.get("worker") for line in lines if line["event"] == "worker_not_made"} != {0, 1}:
            assert not running.done(), running
            await asyncio.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)
        assert await running == 0


LOUD = """
import asyncio, os
from types import SimpleNamespace
from cascade_server import lifecycle
from cascade_server.workers import worker

async def serve(settings, *, ready, **_):
    print("a library is loaded", flush=True)
    os.write(1, b"and its own code speaks\\n")
    ready(SimpleNamespace(metrics_port=7))
    print("x" * 1_000_000)
    return 0

lifecycle.serve_alone = serve
worker.main()
"""


async def test_what_libraries_print_is_not_taken_for_words_of_a_worker() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", LOUD),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, printed = await process.communicate(Orders(0, Settings(workers=1)).to_line())
    assert Ready.from_line(said) == Ready(7)
    assert b"a library is loaded" in printed


async def test_a_port_can_be_shared_while_connections_of_a_server_that_stopped_are_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as before:
        port = before.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            before.accept()[0].close()  # whoever closes first keeps the address for a minute
            assert client.recv(1) == b""
    with shared_port("127.0.0.1", port) as shared:
        assert shared == port


async def test_a_port_whose_workers_have_yet_to_start_is_not_free() -> None:
    with (
        shared_port("127.0.0.1", 0) as port,
        pytest.raises(ConfigError, match="cannot be listened on"),
        shared_port("127.0.0.1", port),
    ):
        raise AssertionError("the port was taken")


async def test_there_is_a_port_for_the_metrics_of_every_worker() -> None:
    with pytest.raises(ConfigError, match="would have port 65536"):
        Supervisor(Settings(metrics_port=65535, workers=2))

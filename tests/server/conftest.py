"""Real servers on free loopback ports of this process, and what a caller sees of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import grpc
import pytest
import pytest_asyncio
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from prometheus_client.parser import text_string_to_metric_families

from cascade.budget import Budget
from cascade.config import CascadeConfig, parse
from cascade_api.v1 import (
    document_pb2,
    index_pb2,
    index_pb2_grpc,
    ranking_pb2,
    ranking_pb2_grpc,
    server_pb2_grpc,
)
from cascade_server.app import Server
from cascade_server.settings import Settings

PLAIN = """
description: words only
retrieve: [{kind: bm25}]
tiers: [{kind: identity, name: keep, depth: 5}, {kind: identity, name: trim, depth: 2}]
"""
MIXED = """
retrieve: [{kind: bm25}, {kind: dense}]
tiers: [{kind: identity, name: keep, depth: 5}]
"""
MEANING = "retrieve: [{kind: dense}]"


@dataclass(frozen=True)
class Refusal:
    """What the caller learns of a call that failed."""

    code: grpc.StatusCode
    message: str
    reason: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    violations: Mapping[str, str] = field(default_factory=dict)
    retry_after: float | None = None


class Running:
    """A started server with stubs for it, as one tenant."""

    def __init__(self, server: Server, channel: grpc.aio.Channel, tenant: str) -> None:
        self.server = server
        self.channel = channel
        self.metadata = (("x-cascade-tenant", tenant),) if tenant else ()
        self._ranking = ranking_pb2_grpc.RankingServiceStub(channel)
        self.indexes = index_pb2_grpc.IndexServiceStub(channel)
        self.info = server_pb2_grpc.ServerServiceStub(channel)
        self.health = health_pb2_grpc.HealthStub(channel)

    def request(self, **fields: Any) -> ranking_pb2.RankRequest:
        """A good request, but for what `fields` change."""
        good: dict[str, Any] = {"cascade": "plain", "query": "red apples", "top_k": 10}
        if "index" not in fields and "documents" not in fields:
            good["documents"] = documents("green pears", "red apples are sweet", "an apple a day", "red brick walls")
        return ranking_pb2.RankRequest(**good | fields)

    def rank(self, *, timeout: float | None = None, **fields: Any) -> Any:
        """Rank of `request`, in progress; it is awaited for its answer."""
        return self._ranking.Rank(self.request(**fields), timeout=timeout, metadata=self.metadata)

    async def stream(self, **fields: Any) -> list[ranking_pb2.RankStreamResponse]:
        """All updates of RankStream."""
        request = ranking_pb2.RankStreamRequest(request=self.request(**fields))
        return [update async for update in self._ranking.RankStream(request, metadata=self.metadata)]

    async def raw(self, data: bytes, method: str = "/cascade_api.v1.RankingService/Rank") -> bytes:
        """The answer to bytes that need not be a message."""
        return await self.channel.unary_unary(method)(data, metadata=self.metadata)

    async def upsert(self, index: str, found: Iterable[document_pb2.Document]) -> index_pb2.UpsertDocumentsResponse:
        """Upsert in one message."""
        request = index_pb2.UpsertDocumentsRequest(index=index, documents=found)
        return await self.indexes.UpsertDocuments(iter([request]), metadata=self.metadata)

    async def serving(self, service: str = "") -> bool:
        """What health says of `service`."""
        answer = await self.health.Check(health_pb2.HealthCheckRequest(service=service))
        return answer.status == health_pb2.HealthCheckResponse.SERVING

    async def metrics(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """Every sample of /metrics by name and labels."""
        url = f"http://127.0.0.1:{self.server.metrics_port}/metrics"

        def read() -> str:
            with urlopen(url) as answer:
                return str(answer.read().decode())

        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(await asyncio.to_thread(read))
            for sample in family.samples
        }

    async def in_progress(self, count: int) -> None:
        """Return when `count` requests are in progress."""
        while await self.metric("cascade_requests_in_progress") != count:  # noqa: ASYNC110  # over HTTP, as an operator would
            await asyncio.sleep(0.01)

    async def metric(self, name: str, **labels: str) -> float:
        """One sample, or 0 when there is none."""
        return (await self.metrics()).get((name, frozenset(labels.items())), 0.0)


def documents(*texts: str, named: bool = False) -> list[document_pb2.Document]:
    """Documents of these texts, called d0, d1, ... when `named`."""
    return [document_pb2.Document(doc_id=f"d{i}" if named else "", text=text) for i, text in enumerate(texts)]


Serve = Callable[..., AbstractAsyncContextManager[Running]]


@pytest.fixture(scope="session")
def texts() -> Callable[..., list[document_pb2.Document]]:
    """Makes documents of texts."""
    return documents


@pytest.fixture(scope="session")
def configs() -> dict[str, CascadeConfig]:
    """Cascades to serve: `plain` needs no model, `mixed` and `meaning` an encoder."""
    sources = {"plain": PLAIN, "mixed": MIXED, "meaning": MEANING}
    return {name: parse(source, name) for name, source in sources.items()}


@pytest.fixture(scope="session")
def serve() -> Serve:
    """Runs a server for the length of a block, with `cascades` for the default tenant or what its settings name."""

    @asynccontextmanager
    async def running(
        data_dir: Path, cascades: Mapping[str, CascadeConfig] | None = None, *, tenant: str = "", **settings: Any
    ) -> AsyncIterator[Running]:
        # Tests ask the same again and again, and what they ask is to reach the models.
        chosen = Settings(**{"port": 0, "metrics_port": 0, "data_dir": data_dir, "cache_mb": 0} | settings)
        server = Server(chosen, cascades=None if cascades is None else lambda: {"default": cascades})
        options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        try:
            port = await server.start()
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) as channel:
                yield Running(server, channel, tenant)
        finally:
            await server.stop(5.0)

    return running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def plain(
    serve: Serve, configs: Mapping[str, CascadeConfig], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Running]:
    """A server without models, whose tenant has a damaged index."""
    data_dir = tmp_path_factory.mktemp("plain")
    damaged = data_dir / "indexes" / "default" / "damaged"
    damaged.mkdir(parents=True)
    (damaged / "notes.txt").write_text("this is no index")
    async with serve(data_dir, {"plain": configs["plain"]}) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def library(
    serve: Serve, configs: Mapping[str, CascadeConfig], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Running]:
    """A server with the embedded encoder and an index `fruit`."""
    async with serve(tmp_path_factory.mktemp("library"), configs) as running:
        await running.indexes.CreateIndex(index_pb2.CreateIndexRequest(name="fruit"))
        found = documents("green pears", "red apples are sweet", "an apple a day", "red brick walls", named=True)
        for price, document in enumerate(found):
            document.metadata["price"].int_value = price
        await running.upsert("fruit", found)
        yield running


@pytest.fixture(scope="session")
def refused() -> Callable[[Awaitable[Any]], Awaitable[Refusal]]:
    """Awaits a call that must fail, and returns what its caller learns."""

    async def refusal(call: Awaitable[Any]) -> Refusal:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        error = caught.value
        facts: dict[str, Any] = {}
        status = rpc_status.from_call(error)
        for detail in status.details if status is not None else ():
            info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
            retry = error_details_pb2.RetryInfo()
            if detail.Unpack(info):
                assert info.domain == "cascade-ranking"
                facts.update(reason=info.reason, facts=dict(info.metadata))
            elif detail.Unpack(bad):
                facts["violations"] = {v.field: v.description for v in bad.field_violations}
            elif detail.Unpack(retry):
                facts["retry_after"] = retry.retry_delay.ToNanoseconds() / 1e9
        return Refusal(error.code(), error.details() or "", **facts)

    return refusal


@pytest.fixture(scope="session")
def hung() -> Callable[[Running], AbstractAsyncContextManager[Callable[[int], Awaitable[None]]]]:
    """Keeps the encoder's worker busy for the length of a block, so that what needs it waits.

    The block is given a function that returns when so many requests are in progress.
    """

    @asynccontextmanager
    async def busy(running: Running) -> AsyncIterator[Callable[[int], Awaitable[None]]]:
        started, release = threading.Event(), threading.Event()

        def work() -> None:
            started.set()
            release.wait()

        queue = running.server.models.encoder(running.server.settings.default_encoder).queue
        job = asyncio.ensure_future(queue.run(work, budget=Budget()))
        try:
            await asyncio.to_thread(started.wait)
            yield running.in_progress
        finally:
            release.set()
            await job

    return busy

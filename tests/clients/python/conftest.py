"""A small real server of the contract, which keeps documents in memory and fails on request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from cascade_api.v1 import (
    index_pb2,
    index_pb2_grpc,
    quota_pb2,
    ranking_pb2,
    ranking_pb2_grpc,
    server_pb2,
    server_pb2_grpc,
    trace_pb2,
)
from cascade_client import AsyncClient, Client


@dataclass(frozen=True)
class Failure:
    """What to answer instead of a result."""

    code: grpc.StatusCode
    message: str
    details: tuple[Message, ...]
    after: int  # messages of a stream to read or write before failing

    def abort(self, context: grpc.ServicerContext) -> None:
        packed = []
        for detail in self.details:
            packed.append(any_pb2.Any())
            packed[-1].Pack(detail)
        number: int = self.code.value[0]  # type: ignore[index]  # the stubs call the value an int
        context.abort_with_status(
            rpc_status.to_status(status_pb2.Status(code=number, message=self.message, details=packed))
        )


@dataclass
class Shelf:
    """What the server keeps, what it was asked, and which failures its next calls meet."""

    hangs: bool = False
    failures: list[Failure] = field(default_factory=list)
    indexes: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: list[Message] = field(default_factory=list)
    tenants: list[str] = field(default_factory=list)
    proofs: list[str] = field(default_factory=list)
    times_left: list[float] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)

    def fail(
        self,
        code: grpc.StatusCode,
        *,
        retry_after: float | None = None,
        violations: Sequence[tuple[str, str]] = (),
        reason: str = "",
        quota: Mapping[str, str] | None = None,
        after: int = 0,
    ) -> None:
        """Let the next call that has no failure yet end with this one."""
        details: list[Any] = []
        if retry_after is not None:
            details.append(error_details_pb2.RetryInfo())
            details[-1].retry_delay.FromNanoseconds(round(retry_after * 1e9))
        if violations:
            details.append(error_details_pb2.BadRequest())
            for name, message in violations:
                details[-1].field_violations.add(field=name, description=message)
        if reason:
            details.append(error_details_pb2.ErrorInfo(reason=reason, domain="cascade", metadata={"kind": "index"}))
        if quota is not None:
            details.append(error_details_pb2.ErrorInfo(reason="QUOTA_EXCEEDED", domain="cascade", metadata=quota))
            details.append(error_details_pb2.QuotaFailure())
            details[-1].violations.add(subject="tenant:acme", description="over its quota")
        self.failures.append(Failure(code, f"no: {code.name}", tuple(details), after))

    def next_failure(self, context: grpc.ServicerContext) -> Failure | None:
        metadata = dict(context.invocation_metadata())
        self.tenants.append(str(metadata.get("x-cascade-tenant", "")))
        self.proofs.append(str(metadata.get("authorization", "")))
        self.arrivals.append(time.monotonic())
        left = context.time_remaining()
        self.times_left.append(float("inf") if left is None else left)
        while self.hangs and context.is_active():
            time.sleep(0.01)
        return self.failures.pop(0) if self.failures else None

    def meet(self, request: Message, context: grpc.ServicerContext) -> None:
        self.requests.append(request)
        failure = self.next_failure(context)
        if failure is not None:
            failure.abort(context)

    def index(self, name: str, context: grpc.ServicerContext) -> index_pb2.Index:
        if name not in self.indexes:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no index named {name!r}")
        made = index_pb2.Index(name=name, version=3, documents=len(self.indexes[name]), encoder="e", dimensions=8)
        made.token_vectors, made.token_vector_bytes_per_document = "t", 123.5
        made.token_id_bytes_per_document = 64.5
        made.updated_at.FromJsonString("2026-01-02T03:04:05Z")
        return made


class Ranking(ranking_pb2_grpc.RankingServiceServicer):
    """Ranks by how often the query occurs in a document."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf

    def Rank(self, request: ranking_pb2.RankRequest, context: Any) -> ranking_pb2.RankResponse:
        self.shelf.meet(request, context)
        return self._answer(request)

    def RankStream(
        self, request: ranking_pb2.RankStreamRequest, context: Any
    ) -> Iterator[ranking_pb2.RankStreamResponse]:
        self.shelf.requests.append(request)
        failure = self.shelf.next_failure(context)
        for sent, stage in enumerate(("bm25", "cross")):
            if failure is not None and failure.after == sent:
                failure.abort(context)
            yield ranking_pb2.RankStreamResponse(
                stage=stage, final=stage == "cross", response=self._answer(request.request)
            )

    def _answer(self, request: ranking_pb2.RankRequest) -> ranking_pb2.RankResponse:
        found = sorted(enumerate(request.documents), key=lambda pair: (-pair[1].text.count(request.query), pair[0]))
        response = ranking_pb2.RankResponse(degraded=True)
        for rank, (position, document) in enumerate(found[: request.top_k], start=1):
            result = response.results.add(
                doc_id=document.doc_id, rank=rank, score=document.text.count(request.query), scored_by="count"
            )
            result.position = position
            result.stages.add(stage="count", rank=rank, score=1.5)
            if request.include_text:
                result.title, result.text = document.title, document.text
        response.trace.add(
            stage="count",
            kind="identity",
            status=trace_pb2.STAGE_STATUS_TIMED_OUT,
            reason="overran",
            detail="ran out",
            candidates_in=4,
            candidates_out=3,
            queue_time=Duration(nanos=1500),
            run_time=Duration(seconds=1, nanos=500_000_000),
            model="m",
            tokens=12,
            truncated=1,
            cost=0.25,
        )
        response.truncations.add(doc_id="a", stage="count", tokens_seen=5, tokens_total=9)
        response.provenance.cascade = request.cascade
        response.provenance.models["count"] = "m"
        response.provenance.cascade_version, response.provenance.canary = 4, True
        return response


class Indexes(index_pb2_grpc.IndexServiceServicer):
    """Keeps documents in dictionaries."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf

    def CreateIndex(self, request: Any, context: Any) -> index_pb2.CreateIndexResponse:
        self.shelf.meet(request, context)
        if request.name in self.shelf.indexes:
            context.abort(grpc.StatusCode.ALREADY_EXISTS, "it is there")
        self.shelf.indexes[request.name] = {}
        return index_pb2.CreateIndexResponse(index=self.shelf.index(request.name, context))

    def UpsertDocuments(self, request_iterator: Any, context: Any) -> index_pb2.UpsertDocumentsResponse:
        failure = self.shelf.next_failure(context)
        received = []
        for number, request in enumerate(request_iterator):
            if failure is not None and failure.after == number:
                failure.abort(context)
            self.shelf.requests.append(request)
            received.append(request)
        documents = {d.doc_id: d for request in received for d in request.documents}
        kept = self.shelf.indexes.setdefault(received[0].index, {})
        replaced = len(kept.keys() & documents.keys())
        kept.update(documents)
        return index_pb2.UpsertDocumentsResponse(
            added=len(documents) - replaced, replaced=replaced, index=self.shelf.index(received[0].index, context)
        )

    def DeleteDocuments(self, request: Any, context: Any) -> index_pb2.DeleteDocumentsResponse:
        self.shelf.meet(request, context)
        gone = [d for d in request.doc_ids if self.shelf.indexes.get(request.index, {}).pop(d, None) is not None]
        return index_pb2.DeleteDocumentsResponse(deleted=len(gone), index=self.shelf.index(request.index, context))

    def GetIndex(self, request: Any, context: Any) -> index_pb2.GetIndexResponse:
        self.shelf.meet(request, context)
        return index_pb2.GetIndexResponse(index=self.shelf.index(request.name, context))

    def ListIndexes(self, request: Any, context: Any) -> index_pb2.ListIndexesResponse:
        self.shelf.meet(request, context)
        return index_pb2.ListIndexesResponse(
            indexes=[self.shelf.index(name, context) for name in sorted(self.shelf.indexes)]
        )

    def DropIndex(self, request: Any, context: Any) -> index_pb2.DropIndexResponse:
        self.shelf.meet(request, context)
        if self.shelf.indexes.pop(request.name, None) is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "it is gone")
        return index_pb2.DropIndexResponse()


class Server(server_pb2_grpc.ServerServiceServicer):
    """Describes one cascade."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf

    def GetInfo(self, request: Any, context: Any) -> server_pb2.GetInfoResponse:
        self.shelf.meet(request, context)
        stage = server_pb2.StageInfo(name="bm25", kind="bm25", depth=100)
        return server_pb2.GetInfoResponse(
            version="1.2",
            tenant=self.shelf.tenants[-1],
            cascades=[server_pb2.CascadeInfo(name="fast", description="d", config_hash="h", stages=[stage], version=4)],
            models=[server_pb2.ModelInfo(model="m", kind="bi_encoder", ready=False, problem="broken")],
            limits=server_pb2.Limits(max_message_bytes=7, max_top_k=5),
            quota=quota_pb2.Quota(tokens_per_second=5.5, max_depth=50, priority=quota_pb2.PRIORITY_LOW),
        )


class Awaited:
    """An AsyncClient used like a Client: every call runs on one event loop until it has answered."""

    def __init__(self, runner: asyncio.Runner, client: Any) -> None:
        self._runner = runner
        self._client = client

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if name == "admin":
            return Awaited(self._runner, method)

        def call(*arguments: Any, **options: Any) -> Any:
            async def run() -> Any:
                if name == "rank_stream":
                    return [update async for update in method(*arguments, **options)]
                return await method(*arguments, **options)

            return self._runner.run(run())

        return call


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Makes clients of either transport, and closes them."""
    clients: list[Any] = []
    with asyncio.Runner() as runner:

        def make(*arguments: Any, **options: Any) -> Any:
            asynchronous = request.param == "async"
            kind = AsyncClient if asynchronous else Client
            made = kind(*arguments, **options)
            clients.append(Awaited(runner, made) if asynchronous else made)
            return clients[-1]

        yield make
        for client in clients:
            client.close()


@pytest.fixture
def client(connect: Callable[..., Any], target: str) -> Any:
    """A client of the running server."""
    return connect(target, tenant="acme", timeout=20.0)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def target(shelf: Shelf) -> Iterator[str]:
    """The address of a running server that works on `shelf`."""
    server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.max_receive_message_length", 2 * 1024 * 1024)])
    ranking_pb2_grpc.add_RankingServiceServicer_to_server(Ranking(shelf), server)
    index_pb2_grpc.add_IndexServiceServicer_to_server(Indexes(shelf), server)
    server_pb2_grpc.add_ServerServiceServicer_to_server(Server(shelf), server)
    answers = health.HealthServicer()
    answers.set("", health_pb2.HealthCheckResponse.SERVING)
    answers.set("cascade_api.v1.RankingService", health_pb2.HealthCheckResponse.NOT_SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(answers, server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    yield f"localhost:{port}"
    server.stop(None).wait()

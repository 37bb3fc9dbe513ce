"""What is asked to rank: the engine in the asking process, or a server over gRPC."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Question:
    """A query and the texts that are to be ranked for it."""

    query: str
    texts: tuple[str, ...]


class Subject(Protocol):
    """Answers questions, on the event loop that it was opened on."""

    async def open(self) -> None:
        """Load or connect, and be ready to answer."""
        ...

    async def ask(self, number: int) -> None:
        """Have the question of that number ranked, by number modulo how many there are; raises unless it was."""
        ...

    async def aclose(self) -> None:
        """Release what it holds."""
        ...


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """The engine in process: `cascade` is YAML, and its models compute with `threads` on `processors`."""

    cascade: str
    questions: tuple[Question, ...]
    threads: int
    processors: tuple[int, ...]
    top_k: int = 10

    def make(self) -> Subject:
        """In this process, which runs on those processors from now on."""
        _stay_on(self.processors)
        return _Engine(self)


@dataclass(frozen=True, slots=True)
class ClientSpec:
    """A client of the server at `target`, through its generated stub; the client's process runs on `processors`.

    The server has `patience` seconds to be reached.
    """

    target: str
    cascade: str
    questions: tuple[Question, ...]
    processors: tuple[int, ...]
    top_k: int = 10
    patience: float = 30.0

    def make(self) -> Subject:
        """In this process, which runs on those processors from now on."""
        _stay_on(self.processors)
        return _Client(self)


class _Engine:
    def __init__(self, spec: EngineSpec) -> None:
        self._spec = spec

    async def open(self) -> None:
        from cascade.bench.threads import limit
        from cascade.build import build_cascade
        from cascade.config import parse
        from cascade.models import Models

        limit(os.environ, self._spec.threads)
        self._config = parse(self._spec.cascade, "bench")
        self._models = Models(threads=self._spec.threads)
        self._cascade = build_cascade("bench", self._config, self._models)
        await self._cascade.warm_up()
        gc.collect()
        gc.freeze()  # as a server does

    async def ask(self, number: int) -> None:
        from cascade.budget import Budget
        from cascade.build import bind_documents
        from cascade.types import Document, Query

        question = self._spec.questions[number % len(self._spec.questions)]
        documents = tuple(Document(str(i), text) for i, text in enumerate(question.texts))
        corpus = bind_documents(self._config, documents, self._models)
        answer = await self._cascade.rank(Query(question.query), corpus, top_k=self._spec.top_k, budget=Budget())
        _check(answer.degraded, len(answer.ranking), number)

    async def aclose(self) -> None:
        await self._cascade.aclose()
        await self._models.aclose()


class _Client:
    def __init__(self, spec: ClientSpec) -> None:
        self._spec = spec

    async def open(self) -> None:
        import grpc

        from cascade_api.v1 import document_pb2, ranking_pb2, ranking_pb2_grpc

        self._requests = [
            ranking_pb2.RankRequest(
                cascade=self._spec.cascade,
                query=question.query,
                top_k=self._spec.top_k,
                documents=[document_pb2.Document(text=text) for text in question.texts],
            )
            for question in self._spec.questions
        ]
        self._channel = grpc.aio.insecure_channel(self._spec.target, [("grpc.use_local_subchannel_pool", 1)])
        self._stub = ranking_pb2_grpc.RankingServiceStub(self._channel)
        async with asyncio.timeout(self._spec.patience):
            await self._channel.channel_ready()

    async def ask(self, number: int) -> None:
        response = await self._stub.Rank(self._requests[number % len(self._requests)])
        _check(response.degraded, len(response.results), number)

    async def aclose(self) -> None:
        await self._channel.close()


class NotRankedError(Exception):
    """An answer that was not what a bench measures."""


def _check(degraded: bool, results: int, number: int) -> None:
    if degraded or not results:
        raise NotRankedError(f"question {number}: degraded {degraded}, {results} results; expected a full answer")


def _stay_on(processors: Sequence[int]) -> None:
    if processors:
        os.sched_setaffinity(0, processors)

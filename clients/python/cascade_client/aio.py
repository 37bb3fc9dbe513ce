"""The client for asyncio programs: the same calls as `Client`, awaited."""

# ruff: noqa: ASYNC109 - a timeout is sent to the server as the call's deadline, which asyncio.timeout cannot do

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from contextlib import closing
from functools import cached_property
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

import grpc

from cascade_api.v1 import index_pb2
from cascade_client import calls
from cascade_client.admin_aio import AsyncAdmin
from cascade_client.credentials import Access, Credentials
from cascade_client.errors import from_rpc
from cascade_client.options import (
    DEFAULT_MESSAGE_BYTES,
    DEFAULT_TARGET,
    DEFAULT_TIMEOUT,
    DocumentLike,
    Options,
    RankOptions,
)
from cascade_client.retry_budget import RetryBudget
from cascade_client.sending import Sending
from cascade_client.types import Change, Health, IndexInfo, Ranked, ServerInfo, Update
from cascade_client.upload import DEFAULT_BATCH, Progress, Upload

T = TypeVar("T")
Documents = Iterable[DocumentLike] | AsyncIterable[DocumentLike]


class AsyncClient:
    """One connection to a Cascade server on behalf of one tenant, opened on the event loop of its first call.

    Its options and errors are those of `Client`, and so is what every method does.
    """

    def __init__(
        self,
        target: str = DEFAULT_TARGET,
        *,
        tenant: str = "",
        timeout: float | None = DEFAULT_TIMEOUT,
        retries: int = 3,
        max_message_bytes: int = DEFAULT_MESSAGE_BYTES,
        retry_budget: RetryBudget | None = None,
        **access: Unpack[Access],
    ) -> None:
        self._options = Options(
            target,
            tenant,
            timeout,
            retries,
            max_message_bytes,
            Credentials(target, **access),
            retry_budget or RetryBudget(),
        )

    async def rank(self, query: str, **options: Unpack[RankOptions]) -> Ranked:
        """As Client.rank."""
        return await self._unary(calls.rank(query, **options), options.get("timeout"))

    async def rank_stream(self, query: str, **options: Unpack[RankOptions]) -> AsyncIterator[Update]:
        """As Client.rank_stream."""
        call = calls.rank_stream(query, **options)
        attempts = self._options.attempts(options.get("timeout"), idempotent=True)
        start = self._channel.unary_stream(call.method, _to_bytes, call.parse)
        while True:
            stream = start(call.request, timeout=attempts.timeout, metadata=await self._options.metadata_async())
            begun = False
            try:
                async for response in stream:
                    begun = True
                    yield call.read(response)
                return
            except grpc.aio.AioRpcError as error:
                failure = from_rpc(error)
                pause = None if begun else attempts.pause_after(failure)
                if pause is None:
                    raise failure from error
                await asyncio.sleep(pause)
            finally:
                stream.cancel()

    async def create_index(
        self, name: str, encoder: str = "", *, token_vectors: str = "", timeout: float | None = None
    ) -> IndexInfo:
        """As Client.create_index."""
        return await self._unary(calls.create_index(name, encoder, token_vectors), timeout)

    async def upsert(
        self,
        index: str,
        documents: Documents,
        *,
        batch: int = DEFAULT_BATCH,
        progress: Progress | None = None,
        timeout: float | None = math.inf,
    ) -> Change:
        """As Client.upsert; `documents` may also be an async iterable."""
        call = calls.upsert(index)
        assert isinstance(call.request, index_pb2.UpsertDocumentsRequest)
        upload = Upload(call.request, documents, batch, progress)
        attempts = self._options.attempts(timeout, idempotent=True)
        while True:
            try:
                return call.read(await self._send(call, upload, attempts.timeout))
            except grpc.RpcError as error:
                failure = from_rpc(error)
                pause = attempts.pause_after(failure) if upload.repeatable else None
                if pause is None:
                    raise failure from error
                await asyncio.sleep(pause)

    async def delete(self, index: str, doc_ids: Sequence[str], *, timeout: float | None = None) -> Change:
        """As Client.delete."""
        return await self._unary(calls.delete(index, doc_ids), timeout)

    async def get_index(self, name: str, *, timeout: float | None = None) -> IndexInfo:
        """As Client.get_index."""
        return await self._unary(calls.get_index(name), timeout)

    async def list_indexes(self, *, timeout: float | None = None) -> tuple[IndexInfo, ...]:
        """As Client.list_indexes."""
        return await self._unary(calls.list_indexes(), timeout)

    async def drop_index(self, name: str, *, timeout: float | None = None) -> None:
        """As Client.drop_index."""
        await self._unary(calls.drop_index(name), timeout)

    async def info(self, *, timeout: float | None = None) -> ServerInfo:
        """As Client.info."""
        return await self._unary(calls.info(), timeout)

    async def health(self, service: str = "", *, timeout: float | None = None) -> Health:
        """As Client.health."""
        return await self._unary(calls.health(service), timeout)

    @property
    def admin(self) -> AsyncAdmin:
        """Calls for those who manage the server or a tenant of it."""
        return AsyncAdmin(self._unary)

    async def close(self) -> None:
        """Close the connection; calls in progress are cancelled."""
        if "_channel" in self.__dict__:
            await self._channel.close()
        if "_upsert_channel" in self.__dict__:
            self._upsert_channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @cached_property
    def _channel(self) -> grpc.aio.Channel:
        return self._options.open_async()

    @cached_property
    def _upsert_channel(self) -> grpc.Channel:
        return self._options.open()

    async def _unary(self, call: calls.Call[T], timeout: float | None) -> T:
        attempts = self._options.attempts(timeout, idempotent=call.idempotent)
        send = self._channel.unary_unary(call.method, _to_bytes, call.parse)
        while True:
            try:
                response = await send(
                    call.request, timeout=attempts.timeout, metadata=await self._options.metadata_async()
                )
                return call.read(response)
            except grpc.aio.AioRpcError as error:
                failure = from_rpc(error)
                pause = attempts.pause_after(failure)
                if pause is None:
                    raise failure from error
                await asyncio.sleep(pause)

    async def _send(self, call: calls.Call[Any], upload: Upload[Documents], timeout: float | None) -> Any:
        """One try of an upsert."""
        metadata = await self._options.metadata_async()
        with closing(Sending(self._upsert_channel, call, timeout, metadata)) as sending:
            async for message in upload.messages_async():
                if not await sending.put_async(message):
                    break
            await sending.put_async(None)
            return await sending.result_async()


def _to_bytes(message: Any) -> bytes:
    encoded: bytes = message.SerializeToString()
    return encoded

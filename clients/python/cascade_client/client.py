"""The client for programs that wait for their answers."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

import grpc

from cascade_api.v1 import index_pb2
from cascade_client import calls
from cascade_client.admin import Admin
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


class Client:
    """One connection to a Cascade server on behalf of one tenant; may be shared between threads.

    `tenant` empty leaves it to the server: the credentials' own, or `default`. Every method takes `timeout`, seconds
    for the call with all its retries: None for the client's own, math.inf for no limit. All raise ClientError. All
    calls together make at most as many retries as `retry_budget` has. For `access` see Access; raises ValueError for
    what contradicts itself there.
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
        self._channel = self._options.open()

    def rank(self, query: str, **options: Unpack[RankOptions]) -> Ranked:
        """Rank documents for `query`; see RankOptions. Short of time, the answer is degraded; it is no error."""
        return self._unary(calls.rank(query, **options), options.get("timeout"))

    def rank_stream(self, query: str, **options: Unpack[RankOptions]) -> Iterator[Update]:
        """The same, with one update per stage; retried only while none has come. Closing it cancels the call."""
        call = calls.rank_stream(query, **options)
        attempts = self._options.attempts(options.get("timeout"), idempotent=True)
        start = self._channel.unary_stream(call.method, _to_bytes, call.parse)
        while True:
            stream = start(call.request, timeout=attempts.timeout, metadata=self._options.metadata())
            begun = False
            try:
                for response in stream:
                    begun = True
                    yield call.read(response)
                return
            except grpc.RpcError as error:
                failure = from_rpc(error)
                pause = None if begun else attempts.pause_after(failure)
                if pause is None:
                    raise failure from error
                time.sleep(pause)
            finally:
                stream.cancel()

    def create_index(
        self, name: str, encoder: str = "", *, token_vectors: str = "", timeout: float | None = None
    ) -> IndexInfo:
        """Create an empty index; `encoder` is the server's default if empty.

        With the multi-vector model `token_vectors`, documents are kept with the vectors of their tokens, so that a late
        interaction tier with that model need not read them again.
        """
        return self._unary(calls.create_index(name, encoder, token_vectors), timeout)

    def upsert(
        self,
        index: str,
        documents: Iterable[DocumentLike],
        *,
        batch: int = DEFAULT_BATCH,
        progress: Progress | None = None,
        timeout: float | None = math.inf,
    ) -> Change:
        """Add documents, and replace those whose doc_id is there, as one change: all of them or none.

        `batch` is how many documents go into one message; `progress` is told how many were sent. A failed stream is
        sent again if `documents` can be iterated again, or if nothing was taken from it; what the first try had then
        already stored counts as replaced. No deadline by default: the server encodes every document.
        """
        call = calls.upsert(index)
        assert isinstance(call.request, index_pb2.UpsertDocumentsRequest)
        upload = Upload(call.request, documents, batch, progress)
        attempts = self._options.attempts(timeout, idempotent=True)
        while True:
            try:
                return call.read(self._send(call, upload, attempts.timeout))
            except grpc.RpcError as error:
                failure = from_rpc(error)
                pause = attempts.pause_after(failure) if upload.repeatable else None
                if pause is None:
                    raise failure from error
                time.sleep(pause)

    def delete(self, index: str, doc_ids: Sequence[str], *, timeout: float | None = None) -> Change:
        """Delete documents as one change; ids that are not there are counted out."""
        return self._unary(calls.delete(index, doc_ids), timeout)

    def get_index(self, name: str, *, timeout: float | None = None) -> IndexInfo:
        """Describe one index."""
        return self._unary(calls.get_index(name), timeout)

    def list_indexes(self, *, timeout: float | None = None) -> tuple[IndexInfo, ...]:
        """Describe all indexes of the tenant, by name."""
        return self._unary(calls.list_indexes(), timeout)

    def drop_index(self, name: str, *, timeout: float | None = None) -> None:
        """Delete an index and all its documents."""
        self._unary(calls.drop_index(name), timeout)

    def info(self, *, timeout: float | None = None) -> ServerInfo:
        """The tenant's cascades, the models and the limits."""
        return self._unary(calls.info(), timeout)

    def health(self, service: str = "", *, timeout: float | None = None) -> Health:
        """Whether `service`, or the server as a whole, answers now. Raises NotFoundError for one it does not know."""
        return self._unary(calls.health(service), timeout)

    @property
    def admin(self) -> Admin:
        """Calls for those who manage the server or a tenant of it."""
        return Admin(self._unary)

    def close(self) -> None:
        """Close the connection; calls in progress are cancelled."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _unary(self, call: calls.Call[T], timeout: float | None) -> T:
        attempts = self._options.attempts(timeout, idempotent=call.idempotent)
        send = self._channel.unary_unary(call.method, _to_bytes, call.parse)
        while True:
            try:
                response = send(call.request, timeout=attempts.timeout, metadata=self._options.metadata())
                return call.read(response)
            except grpc.RpcError as error:
                failure = from_rpc(error)
                pause = attempts.pause_after(failure)
                if pause is None:
                    raise failure from error
                time.sleep(pause)

    def _send(self, call: calls.Call[Any], upload: Upload[Iterable[DocumentLike]], timeout: float | None) -> Any:
        """One try of an upsert."""
        with closing(Sending(self._channel, call, timeout, self._options.metadata())) as sending:
            for message in upload.messages():
                if not sending.put(message):
                    break
            sending.put(None)
            return sending.result()


def _to_bytes(message: Any) -> bytes:
    encoded: bytes = message.SerializeToString()
    return encoded

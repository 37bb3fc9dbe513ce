"""What can be set, for a client and for one call."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import grpc

from cascade_client.credentials import Credentials, is_loopback
from cascade_client.filters import Filter
from cascade_client.retry import Attempts, RetryPolicy
from cascade_client.retry_budget import RetryBudget
from cascade_client.types import Document

DocumentLike = Document | str | Mapping[str, Any]

DEFAULT_TARGET = "localhost:50051"
DEFAULT_TIMEOUT = 30.0
DEFAULT_MESSAGE_BYTES = 16 * 1024 * 1024
TENANT_KEY = "x-cascade-tenant"


class RankOptions(TypedDict, total=False):
    """The keywords of `rank` and `rank_stream`; exactly one of `index` and `documents` is given.

    cascade: the cascade, `fast` if not given.
    index, where: the index to search, and which of its documents may answer.
    documents: what to rank instead of an index: texts, Documents, or mappings with Document's keys.
    top_k: how many results to return, 10 if not given.
    include_text, explain: return title and text; return each result's rank and score at every stage.
    budget: seconds for reranking; a tier that does not fit is left out, and the answer is degraded.
    min_probability: leave out results whose probability of relevance is lower; the cascade must be calibrated.
    sticky_key: requests with the same key meet the same version of a cascade while a canary runs, such as a user's id.
    timeout: seconds for the call with all its retries; the client's own if not given, math.inf for no limit.
    """

    cascade: str
    index: str
    documents: Iterable[DocumentLike]
    where: Filter | None
    top_k: int
    include_text: bool
    explain: bool
    budget: float | None
    min_probability: float | None
    sticky_key: str
    timeout: float | None


@dataclass(frozen=True, slots=True)
class Options:
    """What both clients are made with; `timeout` in seconds, None for no limit; `tenant` empty names none."""

    target: str
    tenant: str
    timeout: float | None
    retries: int
    max_message_bytes: int
    credentials: Credentials
    retry_budget: RetryBudget

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What a call carries beside its message; whatever a caller's `token` raises is raised."""
        named = ((TENANT_KEY, self.tenant),) if self.tenant else ()
        return (*named, *self.credentials.metadata())

    async def metadata_async(self) -> tuple[tuple[str, str], ...]:
        """As `metadata`; a `token`, which may have to fetch one, is asked in a thread."""
        return self.metadata() if self.credentials.token is None else await asyncio.to_thread(self.metadata)

    @property
    def channel(self) -> Sequence[tuple[str, int]]:
        """Settings of the gRPC channel."""
        return (
            ("grpc.max_send_message_length", self.max_message_bytes),
            ("grpc.max_receive_message_length", self.max_message_bytes),
            ("grpc.enable_retries", 0),  # we retry, and know about RetryInfo and one-shot streams
            # A server closes a connection that is pinged more often than every 5 minutes (gRPC's default).
            ("grpc.keepalive_time_ms", 330_000),
            ("grpc.keepalive_timeout_ms", 20_000),
            # What is meant for this machine, credentials among it, is not for a proxy that the environment names.
            ("grpc.enable_http_proxy", 0 if is_loopback(self.target) else 1),
        )

    def open(self) -> grpc.Channel:
        """A channel for calls that block; it connects at the first one."""
        credentials = self.credentials.channel
        if credentials is None:
            return grpc.insecure_channel(self.target, options=self.channel)
        return grpc.secure_channel(self.target, credentials, options=self.channel)

    def open_async(self) -> grpc.aio.Channel:
        """A channel for calls that are awaited, bound to the running event loop."""
        credentials = self.credentials.channel
        if credentials is None:
            return grpc.aio.insecure_channel(self.target, options=self.channel)
        return grpc.aio.secure_channel(self.target, credentials, options=self.channel)

    def attempts(self, timeout: float | None, *, idempotent: bool) -> Attempts:
        """The tries of one call that starts now."""
        seconds = self.timeout if timeout is None else timeout
        deadline = math.inf if seconds is None else time.monotonic() + seconds
        self.retry_budget.called()
        return Attempts(RetryPolicy(self.retries), deadline, idempotent, self.retry_budget)

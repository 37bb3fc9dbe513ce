"""Where used tokens are counted: in this process, or in a Redis that servers share for as long as it answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import structlog
from limits import RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage, SlidingWindowCounterSupport
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from cascade_server.overload.window import Counted, Full, Window

_NAMESPACE = "cascade"
_PATIENCE_SECONDS = 0.05
_RETRY_SECONDS = 1.0

log = structlog.get_logger()


class Counts(Protocol):
    """Counts each tenant's tokens in a sliding window."""

    async def take(self, tenant: str, window: Window, tokens: int) -> Full | None:
        """Count `tokens`, or where they do not fit count nothing and say so. Negative tokens are given back."""
        ...

    async def aclose(self) -> None:
        """Release what it holds."""
        ...


class Local:
    """Counts in this process."""

    def __init__(self) -> None:
        self._counts = _Counts(MemoryStorage())

    async def take(self, tenant: str, window: Window, tokens: int) -> Full | None:
        """As `Counts`."""
        return await self._counts.take(tenant, window, tokens)

    async def aclose(self) -> None:
        """Nothing is held."""


class Shared:
    """Counts in Redis; while it does not answer, in this process, and `changed` hears of either."""

    def __init__(
        self, url: str, changed: Callable[[bool], None] = lambda _up: None, *, retry_seconds: float = _RETRY_SECONDS
    ) -> None:
        """`url` is that of redis-py: redis://, rediss:// or unix://."""
        from limits.aio.storage import RedisStorage
        from redis.asyncio import ConnectionPool, Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
        from redis.exceptions import RedisError

        self._failures = (RedisError, OSError, TimeoutError)
        self._pool = ConnectionPool.from_url(url, retry=Retry(NoBackoff(), 0), socket_connect_timeout=_PATIENCE_SECONDS)
        self._redis = Redis(connection_pool=self._pool)
        scheme = f"async+{url}" if url.startswith("redis") else f"async+redis+{url}"
        pool: Any = self._pool  # which the library types as a plain option
        self._shared = _Counts(RedisStorage(scheme, implementation="redispy", connection_pool=pool))
        self._local = Local()
        self._changed = changed
        self._retry_seconds = retry_seconds
        self._watch: asyncio.Task[None] | None = None
        changed(True)

    async def take(self, tenant: str, window: Window, tokens: int) -> Full | None:
        """As `Counts`; a Redis that does not answer holds up one request, for a twentieth of a second."""
        if self._watch is None:
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    return await self._shared.take(tenant, window, tokens)
            except self._failures as error:
                self._lost(error)
        return await self._local.take(tenant, window, tokens)

    async def aclose(self) -> None:
        """Close all connections."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])
        await self._redis.aclose()
        await self._pool.aclose()

    def _lost(self, error: Exception) -> None:
        if self._watch is None:
            log.warning("quota_store_lost", problem=f"{type(error).__name__}: {error}", counting="in this process")
            self._watch = asyncio.create_task(self._wait_for_it())
            self._changed(False)

    async def _wait_for_it(self) -> None:
        while True:
            await asyncio.sleep(self._retry_seconds)
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    await self._redis.ping()
            except self._failures:
                continue
            log.info("quota_store_back")
            self._watch = None
            self._changed(True)
            return


class _Counts:
    """The library's sliding window counter over one of its storages."""

    def __init__(self, storage: MemoryStorage | SlidingWindowCounterSupport) -> None:
        self._storage = storage
        self._windows = SlidingWindowCounterRateLimiter(storage)  # type: ignore[arg-type]  # a storage of either kind

    async def take(self, tenant: str, window: Window, tokens: int) -> Full | None:
        item = RateLimitItemPerSecond(window.tokens, window.seconds, namespace=_NAMESPACE)
        if await self._windows.hit(item, tenant, cost=tokens):
            return None
        found = await self._storage.get_sliding_window(item.key_for(tenant), item.get_expiry())
        previous, _, current, current_ttl = found
        return window.full(Counted(previous, current, max(0.0, current_ttl - window.seconds)), tokens)

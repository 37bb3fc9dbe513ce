"""Callers who stop sending or reading: how long they are waited for, and how much is held for them meanwhile."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from cascade.errors import OverloadedError
from cascade_server.errors import StalledError

_RETRY_SECONDS = 1.0


@asynccontextmanager
async def patience(seconds: float, what: str) -> AsyncIterator[None]:
    """Raises StalledError when the block takes longer than `seconds`; `what` says what the caller did not do."""
    try:
        async with asyncio.timeout(seconds) as limit:
            yield
    except TimeoutError:
        # An answer that ran out of time inside the block is none of our business.
        if limit.expired():
            raise StalledError(what, seconds) from None
        raise


class Unread:
    """No tenant has answers of more than `most` bytes, and one, wait for callers to read them.

    gRPC keeps an answer until its caller has taken it, however long that is, and cannot be told to drop it.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: Counter[str] = Counter()

    def check(self, tenant: str) -> None:
        """Raises OverloadedError while the tenant's callers have not read what they were answered."""
        held = self._held.get(tenant, 0)
        if held >= self._most:
            raise OverloadedError(f"the way back to tenant {tenant!r}, with {held} unread bytes,", _RETRY_SECONDS)

    def hold(self, tenant: str, size: int) -> Callable[[], None]:
        """`size` bytes are being sent; the function that is returned says that they are gone, once or often."""
        self._held[tenant] += size
        held = size

        def release() -> None:
            nonlocal held
            self._held[tenant] -= held
            held = 0
            if not self._held[tenant]:
                del self._held[tenant]

        return release

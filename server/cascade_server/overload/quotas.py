"""What a tenant may ask for, and how fast: the caps and the rate of its quota."""

from __future__ import annotations

import math
from dataclasses import replace

from cascade.config import CascadeConfig
from cascade_server.control.state import Quota
from cascade_server.errors import QuotaExceededError
from cascade_server.overload.counts import Counts
from cascade_server.overload.window import Window


def check_documents(tenant: str, quota: Quota, documents: int) -> None:
    """Raises QuotaExceededError for too many documents in one request."""
    if quota.max_documents is not None and documents > quota.max_documents:
        raise QuotaExceededError(tenant, "max_documents", documents, quota.max_documents, None)


def check_depth(tenant: str, quota: Quota, config: CascadeConfig) -> None:
    """Raises QuotaExceededError for a cascade with a stage that sees too many candidates."""
    if quota.max_depth is None:
        return
    for stage in (*config.retrieve, config.fuse, *config.tiers):
        if stage.depth > quota.max_depth:
            raise QuotaExceededError(tenant, "max_depth", stage.depth, quota.max_depth, None, stage=stage.name)


def check_tokens(tenant: str, quota: Quota, tokens: float) -> None:
    """Raises QuotaExceededError for a request that is expected to have models read too much."""
    if quota.max_request_tokens is not None and tokens > quota.max_request_tokens:
        raise QuotaExceededError(tenant, "max_request_tokens", math.ceil(tokens), quota.max_request_tokens, None)


def enforced(quota: Quota) -> Quota:
    """The quota as it is kept, which may allow a little more at once than it says."""
    window = Window.of(quota)
    return quota if window is None else replace(quota, burst_tokens=window.tokens)


class Rates:
    """Charges tenants for their tokens: by estimate when a request comes, by what was read when it ends.

    What was read beyond the estimate and does not fit any more is owed, and charged with the next request.
    """

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._owed: dict[str, int] = {}

    async def charge(self, tenant: str, quota: Quota, tokens: float) -> int:
        """Count `tokens` against the rate, and return how many were. Raises QuotaExceededError.

        Its `retry_after` is the time until the tokens fit if nothing else comes; a request for more than the burst has
        none, since it never fits.
        """
        window = Window.of(quota)
        if window is None:
            return 0
        asked = math.ceil(tokens)
        if asked > window.tokens:
            raise QuotaExceededError(tenant, "burst_tokens", asked, window.tokens, None)
        owed = min(self._owed.get(tenant, 0), window.tokens - asked)
        # Before the first await, so that those who come in the meantime do not pay it too.
        self._owe(tenant, self._owed.get(tenant, 0) - owed)
        paid = False
        try:
            full = await self._counts.take(tenant, window, asked + owed)
            paid = full is None
        finally:
            if not paid:
                self._owe(tenant, self._owed.get(tenant, 0) + owed)
        if full is not None:
            rate, allowed = full.tokens / window.seconds, window.tokens / window.seconds
            raise QuotaExceededError(tenant, "tokens_per_second", rate, allowed, full.wait)
        return asked

    async def settle(self, tenant: str, quota: Quota, charged: int, used: int) -> None:
        """Give back what was charged and not used, or charge what was used beyond it."""
        window = Window.of(quota)
        if window is None or charged == used:
            return
        if await self._counts.take(tenant, window, used - charged) is not None:
            self._owe(tenant, min(window.tokens, self._owed.get(tenant, 0) + used - charged))

    async def aclose(self) -> None:
        """Release what counts."""
        await self._counts.aclose()

    def _owe(self, tenant: str, tokens: int) -> None:
        if tokens > 0:
            self._owed[tenant] = tokens
        else:
            self._owed.pop(tenant, None)

"""Servers share their counts in Redis, and go on by themselves while it is away."""

from __future__ import annotations

import asyncio
import shutil
from typing import Any

import pytest

from cascade_server.control.state import Quota
from cascade_server.errors import QuotaExceededError
from cascade_server.overload.counts import Local, Shared
from cascade_server.overload.quotas import Rates
from cascade_server.overload.window import Window

REDIS = shutil.which("redis-server")
QUOTA = Quota(tokens_per_second=1.0, burst_tokens=1000)
"""So slow that nothing of it comes back while a test runs."""


class TestWithoutRedis:
    """What holds when nothing answers at the address."""

    async def test_a_server_counts_in_its_own_process(self, unused_url: str) -> None:
        heard: list[bool] = []
        counts = Shared(unused_url, heard.append)
        window = Window.of(QUOTA)
        assert window is not None
        assert await counts.take("red", window, 1000) is None
        assert heard == [True, False]
        full = await counts.take("red", window, 1)
        assert full is not None
        assert full.wait > 0
        await counts.aclose()

    async def test_closing_twice_is_no_harm(self, unused_url: str) -> None:
        counts = Shared(unused_url)
        await counts.aclose()
        await counts.aclose()


if REDIS is not None:

    class TestWithRedis:
        """What holds with a real one."""

        async def test_two_servers_share_a_quota(self, redis: Any) -> None:
            one, two = (Rates(Shared(redis.url)) for _ in range(2))
            assert await one.charge("red", QUOTA, 600.0) == 600
            with pytest.raises(QuotaExceededError) as refused:
                await two.charge("red", QUOTA, 500.0)
            assert refused.value.retry_after is not None
            assert 50 < refused.value.retry_after < 2000
            assert await two.charge("red", QUOTA, 400.0) == 400
            assert await two.charge("blue", QUOTA, 1000.0) == 1000
            await one.aclose()
            await two.aclose()

        async def test_what_was_not_used_is_given_back_to_all(self, redis: Any) -> None:
            one, two = (Rates(Shared(redis.url)) for _ in range(2))
            charged = await one.charge("red", QUOTA, 1000.0)
            await one.settle("red", QUOTA, charged, 100)
            assert await two.charge("red", QUOTA, 900.0) == 900
            with pytest.raises(QuotaExceededError):
                await one.charge("red", QUOTA, 10.0)
            await one.aclose()
            await two.aclose()

        async def test_a_redis_that_goes_and_comes_back_is_noticed(self, redis: Any) -> None:
            changes: asyncio.Queue[bool] = asyncio.Queue()
            rates = Rates(Shared(redis.url, changes.put_nowait, retry_seconds=0.01))
            assert await changes.get() is True
            assert await rates.charge("red", QUOTA, 1000.0) == 1000
            redis.stop()
            assert await rates.charge("red", QUOTA, 1000.0) == 1000
            assert await changes.get() is False
            with pytest.raises(QuotaExceededError):
                await rates.charge("red", QUOTA, 1.0)
            await asyncio.to_thread(redis.start)
            assert await changes.get() is True
            assert await rates.charge("red", QUOTA, 1000.0) == 1000
            await rates.aclose()

        async def test_both_ways_of_counting_agree(self, redis: Any) -> None:
            shared, local = Shared(redis.url), Local()
            window = Window(1000, 100_000)
            for tokens in (400, -100, 700, 1, -1000, 999, 2, 1):
                assert (await shared.take("red", window, tokens) is None) == (
                    await local.take("red", window, tokens) is None
                )
            await shared.aclose()

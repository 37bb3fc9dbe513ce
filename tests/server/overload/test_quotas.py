"""A tenant is charged what its requests read, and told when the next one fits."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.config import parse
from cascade_server.control.state import Quota
from cascade_server.errors import QuotaExceededError
from cascade_server.overload.counts import Local
from cascade_server.overload.quotas import Rates, check_depth, check_documents, check_tokens, enforced
from cascade_server.overload.window import Full, Window

QUOTA = Quota(tokens_per_second=100.0)
"""A thousand tokens at once."""


async def test_a_burst_is_admitted_and_no_more(still: Callable[[float], None]) -> None:
    rates = Rates(Local())
    assert await rates.charge("red", QUOTA, 600.0) == 600
    assert await rates.charge("red", QUOTA, 400.0) == 400
    with pytest.raises(QuotaExceededError) as refused:
        await rates.charge("red", QUOTA, 50.0)
    assert (refused.value.quota, refused.value.limit) == ("tokens_per_second", 100.0)
    assert refused.value.found > 100.0


async def test_what_was_refused_fits_when_it_was_said_to(still: Callable[[float], None]) -> None:
    rates = Rates(Local())
    still(3.0)
    await rates.charge("red", QUOTA, 1000.0)
    with pytest.raises(QuotaExceededError) as refused:
        await rates.charge("red", QUOTA, 200.0)
    wait = refused.value.retry_after
    assert wait is not None
    still(3.0 + 0.99 * wait)
    with pytest.raises(QuotaExceededError):
        await rates.charge("red", QUOTA, 200.0)
    still(3.001 + wait)
    assert await rates.charge("red", QUOTA, 200.0) == 200


async def test_in_the_long_run_the_rate_is_kept(still: Callable[[float], None]) -> None:
    rates, admitted = Rates(Local()), 0
    for tenth in range(2000):
        still(tenth / 10)
        try:
            admitted += await rates.charge("red", QUOTA, 50.0)
        except QuotaExceededError:
            continue
    assert 0.95 * 200 * 100 <= admitted <= 200 * 100 + 1000


async def test_tenants_are_charged_apart(still: Callable[[float], None]) -> None:
    rates = Rates(Local())
    await rates.charge("red", QUOTA, 1000.0)
    assert await rates.charge("blue", QUOTA, 1000.0) == 1000


async def test_what_was_not_used_is_given_back(still: Callable[[float], None]) -> None:
    rates = Rates(Local())
    charged = await rates.charge("red", QUOTA, 1000.0)
    await rates.settle("red", QUOTA, charged, 300)
    assert await rates.charge("red", QUOTA, 700.0) == 700
    with pytest.raises(QuotaExceededError):
        await rates.charge("red", QUOTA, 1.0)


async def test_what_was_used_beyond_the_estimate_is_charged(still: Callable[[float], None]) -> None:
    rates = Rates(Local())
    charged = await rates.charge("red", QUOTA, 100.0)
    await rates.settle("red", QUOTA, charged, 800)
    with pytest.raises(QuotaExceededError):
        await rates.charge("red", QUOTA, 201.0)
    assert await rates.charge("red", QUOTA, 200.0) == 200


async def test_what_does_not_fit_any_more_is_owed(still: Callable[[float], None]) -> None:
    rates = Rates(Local())
    charged = await rates.charge("red", QUOTA, 900.0)
    await rates.settle("red", QUOTA, charged, 1400)
    still(100.0)
    assert await rates.charge("red", QUOTA, 100.0) == 100
    with pytest.raises(QuotaExceededError):
        await rates.charge("red", QUOTA, 401.0)
    assert await rates.charge("red", QUOTA, 400.0) == 400


class Far(Local):
    """Counts so that others come before it has answered, as a store on another machine does."""

    async def take(self, tenant: str, window: Window, tokens: int) -> Full | None:
        await asyncio.sleep(0)
        return await super().take(tenant, window, tokens)


async def test_what_is_owed_is_paid_once_by_those_that_come_together(still: Callable[[float], None]) -> None:
    rates = Rates(Far())
    charged = await rates.charge("red", QUOTA, 900.0)
    await rates.settle("red", QUOTA, charged, 1400)
    still(100.0)
    assert await asyncio.gather(*(rates.charge("red", QUOTA, 100.0) for _ in range(2))) == [100, 100]
    assert await rates.charge("red", QUOTA, 300.0) == 300


async def test_what_is_owed_stays_so_when_it_cannot_be_paid(still: Callable[[float], None]) -> None:
    rates = Rates(Far())
    charged = await rates.charge("red", QUOTA, 900.0)
    await rates.settle("red", QUOTA, charged, 1400)
    with pytest.raises(QuotaExceededError):
        await rates.charge("red", QUOTA, 101.0)
    still(100.0)
    with pytest.raises(QuotaExceededError):
        await asyncio.gather(rates.charge("red", QUOTA, 100.0), rates.charge("red", QUOTA, 401.0))


async def test_a_request_for_more_than_the_burst_never_fits() -> None:
    with pytest.raises(QuotaExceededError) as refused:
        await Rates(Local()).charge("red", QUOTA, 1001.0)
    assert (refused.value.quota, refused.value.found, refused.value.limit) == ("burst_tokens", 1001, 1000)
    assert refused.value.retry_after is None


async def test_without_a_rate_nothing_is_charged() -> None:
    rates = Rates(Local())
    assert await rates.charge("red", Quota(), 1e12) == 0
    await rates.settle("red", Quota(), 0, 10**12)


@given(st.lists(st.tuples(st.integers(1, 1000), st.integers(0, 2000)), max_size=20))
async def test_whatever_is_estimated_what_is_used_is_what_is_charged(requests: list[tuple[int, int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("limits.aio.storage.memory.time.time", lambda: 1_000_000.0)
        rates, used = Rates(Local()), 0
        for estimated, read in requests:
            try:
                charged = await rates.charge("red", QUOTA, float(estimated))
            except QuotaExceededError:
                continue
            await rates.settle("red", QUOTA, charged, read)
            used += read
        left = max(0, 1000 - used)
        with pytest.raises(QuotaExceededError):
            await rates.charge("red", QUOTA, left + 1.0)
        if left:
            assert await rates.charge("red", QUOTA, float(left)) == left


def test_a_burst_is_told_as_it_is_kept() -> None:
    assert enforced(Quota(max_depth=3)) == Quota(max_depth=3)
    assert enforced(Quota(tokens_per_second=100.0)).burst_tokens == 1000
    assert enforced(Quota(tokens_per_second=100.0, burst_tokens=250)).burst_tokens == 300


def test_a_cascade_that_is_too_deep_is_refused_by_the_name_of_its_stage() -> None:
    config = parse(
        "{retrieve: [{kind: bm25, depth: 50}], fuse: {kind: rrf, depth: 80}, tiers: [{kind: identity, depth: 20}]}", "c"
    )
    check_depth("red", Quota(max_depth=80), config)
    with pytest.raises(QuotaExceededError, match="found 80 in stage 'fuse', allowed 60; ask for less") as refused:
        check_depth("red", Quota(max_depth=60), config)
    assert (refused.value.stage, refused.value.retry_after) == ("fuse", None)


def test_caps_let_pass_what_is_equal_to_them_and_refuse_one_more() -> None:
    quota = Quota(max_documents=3, max_request_tokens=100)
    check_documents("red", quota, 3)
    check_tokens("red", quota, 100.0)
    with pytest.raises(QuotaExceededError) as refused:
        check_documents("red", quota, 4)
    assert (refused.value.quota, refused.value.retry_after) == ("max_documents", None)
    with pytest.raises(QuotaExceededError) as refused:
        check_tokens("red", quota, math.nextafter(100.0, 200.0))
    assert (refused.value.quota, refused.value.found) == ("max_request_tokens", 101)

"""What the gate lets in counts for those who come after, and what it refuses costs nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from cascade.budget import Account, Budget
from cascade.config import CascadeConfig, parse
from cascade.engine import Cascade
from cascade.errors import OverloadedError, StageError
from cascade.fuse.rrf import RrfFuser
from cascade.inference.load import QueueLoad
from cascade.models import ModelKey
from cascade.retrieve import InlineDocuments
from cascade.stages import Corpus
from cascade.testing import FakeClock
from cascade.trace import StageStatus, StageTrace
from cascade.types import Document, Query
from cascade_server.control.state import Quota
from cascade_server.convert.requests import RankQuery
from cascade_server.errors import QuotaExceededError, UnavailableError
from cascade_server.overload.counts import Local
from cascade_server.overload.gate import Entry, Gate
from cascade_server.overload.permits import Permits
from cascade_server.overload.quotas import Rates

RED, BLUE = Account("red"), Account("blue")
MODEL = ModelKey("cross_encoder", "embedded:cross-encoder")
TIER = "{kind: cross_encoder, name: read, depth: 10, max_length: 1000}"
"""Reads 100 tokens for each of ten documents of `asked`."""

REFUSE = parse(f"{{retrieve: [{{kind: bm25}}], tiers: [{TIER}]}}", "refuse")
CHEAPER = parse(f"{{retrieve: [{{kind: bm25}}], tiers: [{TIER}], on_overload: cheaper}}", "cheaper")


@dataclass
class Bench:
    """A gate before a model that reads a thousand tokens a second, and what was heard from it."""

    adaptive: bool = True
    limit: int = 100
    max_wait: float = 2.0
    clock: FakeClock = field(default_factory=FakeClock)
    refusals: list[tuple[str, str]] = field(default_factory=list)
    limits: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        permits = Permits(self.limit, clock=self.clock)
        permits.open()
        self.gate = Gate(
            permits,
            Rates(Local()),
            lambda model: QueueLoad(seconds_per_token=0.001) if model == MODEL else None,
            lambda tenant, reason: self.refusals.append((tenant, reason)),
            self.limits.__setitem__,
            max_wait=self.max_wait,
            adaptive=self.adaptive,
        )

    def enter(self, stack: AsyncExitStack, account: Account = RED, quota: Quota | None = None) -> Entry:
        """A request comes, and stays until the stack is left."""
        return stack.enter_context(self.gate.enter(account, quota or Quota()))

    async def plan(
        self,
        stack: AsyncExitStack,
        config: CascadeConfig = REFUSE,
        *,
        account: Account = RED,
        quota: Quota | None = None,
        seconds: float | None = None,
        tier_seconds: float | None = None,
    ) -> Any:
        """It is let in to read a thousand tokens, with `seconds` until its deadline."""
        cascade = Cascade("c", config, RrfFuser("fuse"), ())
        documents = [Document(str(i), "x" * 4 * 98) for i in range(10)]
        asked = RankQuery("c", Query(""), "", tuple(documents), 10, False, False, None, None, "")
        corpus = Corpus({}, InlineDocuments(documents), size=10, whole=True)
        entry, budget = self.enter(stack, account, quota), Budget.of(seconds, self.clock)
        return await stack.enter_async_context(self.gate.plan(entry, cascade, asked, corpus, budget, tier_seconds))


def trace(tokens: int, seconds: float = 1.0, status: StageStatus = StageStatus.COMPLETED) -> tuple[StageTrace, ...]:
    """What the tier did."""
    return (StageTrace("read", "cross_encoder", status, tokens=tokens, run_time=seconds),)


async def test_what_is_expected_to_be_read_is_known_beforehand() -> None:
    async with AsyncExitStack() as stack:
        admitted = await Bench().plan(stack)
        assert admitted.tokens == pytest.approx(1000)
        assert admitted.depths == {}


async def test_what_was_let_in_is_ahead_of_the_next() -> None:
    bench = Bench()
    async with AsyncExitStack() as stack:
        await bench.plan(stack, seconds=2.5)
        await bench.plan(stack, seconds=2.5)
        with pytest.raises(OverloadedError, match="stage 'read'") as refused:
            await bench.plan(stack, seconds=2.5)
        assert refused.value.retry_after == pytest.approx(0.75)
    async with AsyncExitStack() as stack:
        assert await bench.plan(stack, seconds=2.5)
    assert bench.refusals == [("red", "expected_late")]


async def test_a_stage_that_has_ended_is_ahead_of_nobody() -> None:
    bench = Bench()
    async with AsyncExitStack() as stack:
        first = await bench.plan(stack, seconds=1.5)
        first.ended(trace(1000))
        assert await bench.plan(stack, seconds=1.5)


async def test_one_that_floods_does_not_keep_another_out() -> None:
    bench = Bench()
    async with AsyncExitStack() as stack:
        for _ in range(3):
            await bench.plan(stack)
        with pytest.raises(OverloadedError):
            await bench.plan(stack)
        assert await bench.plan(stack, account=BLUE, seconds=2.5)


async def test_without_a_deadline_the_expected_wait_is_bounded() -> None:
    bench = Bench(max_wait=0.5)
    async with AsyncExitStack() as stack:
        await bench.plan(stack)
        with pytest.raises(OverloadedError) as refused:
            await bench.plan(stack)
        assert refused.value.retry_after == pytest.approx(0.5)


async def test_the_budget_of_a_request_bounds_its_tiers() -> None:
    bench = Bench()
    async with AsyncExitStack() as stack:
        await bench.plan(stack)
        with pytest.raises(OverloadedError):
            await bench.plan(stack, tier_seconds=1.5)
        assert await bench.plan(stack, tier_seconds=0.5), "an idle server could not end it either"


async def test_a_cascade_may_allow_a_cheaper_plan() -> None:
    bench = Bench()
    async with AsyncExitStack() as stack:
        await bench.plan(stack)
        reduced = await bench.plan(stack, CHEAPER, account=Account("blue", weight=2.0), seconds=1.25)
        assert reduced.depths == {"read": 7}
        assert reduced.tokens == pytest.approx(700)
        dropped = await bench.plan(stack, CHEAPER, seconds=1.5)
        assert dropped.depths == {"read": 0}
        assert dropped.tokens == 0
    assert bench.refusals == []


async def test_a_fixed_gate_knows_permits_and_quotas_alone() -> None:
    bench = Bench(adaptive=False, limit=5)
    async with AsyncExitStack() as stack:
        for _ in range(5):
            assert (await bench.plan(stack, seconds=1.5)).depths == {}
        with pytest.raises(OverloadedError):
            await bench.plan(stack)
    assert bench.refusals == [("red", "concurrency")]


async def test_under_lasting_overload_the_limit_of_the_model_refuses() -> None:
    bench = Bench(max_wait=1000.0)
    async with AsyncExitStack() as waiting:
        for _ in range(20):
            await bench.plan(waiting)
        for _ in range(100):
            async with AsyncExitStack() as stack:
                try:
                    admitted = await bench.plan(stack)
                except OverloadedError:
                    continue
                admitted.ended(trace(1000, seconds=21.0))
    assert ("red", "adaptive_limit") in bench.refusals
    assert bench.limits[MODEL[1]] < 20_000


async def test_estimates_learn_what_such_requests_read() -> None:
    bench = Bench()
    for _ in range(30):
        async with AsyncExitStack() as stack:
            (await bench.plan(stack)).ended(trace(2000))
    async with AsyncExitStack() as stack:
        assert (await bench.plan(stack)).tokens == pytest.approx(2000, rel=0.01)


async def test_forecasts_learn_how_long_such_requests_take() -> None:
    bench = Bench()
    async with AsyncExitStack() as stack:
        await bench.plan(stack)
        assert await bench.plan(stack, account=BLUE, seconds=2.5)
    for _ in range(50):
        async with AsyncExitStack() as stack:
            (await bench.plan(stack)).ended(trace(1000, seconds=1.5))
    async with AsyncExitStack() as stack:
        await bench.plan(stack)
        with pytest.raises(OverloadedError):
            await bench.plan(stack, account=BLUE, seconds=2.5)


async def test_a_stage_that_was_cut_short_teaches_nothing_of_its_length() -> None:
    bench = Bench()
    async with AsyncExitStack() as stack:
        (await bench.plan(stack)).ended(trace(10, status=StageStatus.TIMED_OUT))
    async with AsyncExitStack() as stack:
        assert (await bench.plan(stack)).tokens == pytest.approx(1000)


RATE = Quota(tokens_per_second=200.0)
"""Two requests at once."""


async def ends_by(bench: Bench, error: BaseException) -> None:
    """A request comes, and nothing was read when it ends by `error`."""
    async with AsyncExitStack() as stack:
        await bench.plan(stack, quota=RATE)
        raise error


async def test_a_tenant_is_charged_what_was_read(still: Callable[[float], None]) -> None:
    bench = Bench()
    for _ in range(20):
        async with AsyncExitStack() as stack:
            (await bench.plan(stack, quota=RATE)).ended(trace(50))
    async with AsyncExitStack() as stack:
        with pytest.raises(QuotaExceededError):
            await bench.plan(stack, quota=Quota(tokens_per_second=200.0, max_request_tokens=10))
    assert bench.refusals == [("red", "request_tokens")]


async def test_what_was_remembered_is_charged_nothing_and_teaches_nothing(still: Callable[[float], None]) -> None:
    bench = Bench()
    for _ in range(30):
        async with AsyncExitStack() as stack:
            admitted = await bench.plan(stack, quota=RATE)
            admitted.ended((replace(trace(0, seconds=1e-4)[0], cached=10),))
    assert bench.limits == {}
    async with AsyncExitStack() as stack:
        assert (await bench.plan(stack, quota=RATE)).tokens == pytest.approx(1000)
        with pytest.raises(OverloadedError):  # foretold at the pace of what was read, not of what was found
            await bench.plan(stack, account=BLUE, seconds=1.5)


async def test_what_was_remembered_in_part_teaches_nothing_of_its_length() -> None:
    bench = Bench()
    async with AsyncExitStack() as stack:
        (await bench.plan(stack)).ended((replace(trace(100)[0], cached=9),))
    async with AsyncExitStack() as stack:
        assert (await bench.plan(stack)).tokens == pytest.approx(1000)


async def test_a_request_that_its_caller_gives_up_is_charged_as_expected(still: Callable[[float], None]) -> None:
    bench = Bench()
    for _ in range(2):
        with pytest.raises(GeneratorExit):
            await ends_by(bench, GeneratorExit())
    async with AsyncExitStack() as stack:
        with pytest.raises(QuotaExceededError):
            await bench.plan(stack, quota=RATE)
    assert bench.refusals == [("red", "rate")]


async def test_a_request_that_fails_is_charged_what_was_read(still: Callable[[float], None]) -> None:
    bench = Bench()
    for _ in range(5):
        with pytest.raises(StageError):
            await ends_by(bench, StageError("bm25", "it failed"))
    assert bench.refusals == []


async def test_what_is_refused_for_its_rate_is_ahead_of_nobody(still: Callable[[float], None]) -> None:
    bench = Bench()
    async with AsyncExitStack() as stack:
        with pytest.raises(QuotaExceededError):
            await bench.plan(stack, quota=Quota(tokens_per_second=1.0))
        assert await bench.plan(stack, seconds=1.5)


@pytest.mark.parametrize(
    ("quota", "reason"),
    [
        (Quota(max_depth=50), "depth"),
        (Quota(max_request_tokens=999), "request_tokens"),
        (Quota(tokens_per_second=10.0), "rate"),
    ],
)
async def test_every_quota_has_a_reason_of_its_own(quota: Quota, reason: str) -> None:
    bench = Bench()
    async with AsyncExitStack() as stack:
        with pytest.raises(QuotaExceededError):
            await bench.plan(stack, quota=quota)
    assert bench.refusals == [("red", reason)]


async def test_documents_and_concurrency_are_refused_before_the_request_is_read() -> None:
    bench = Bench()
    async with AsyncExitStack() as stack:
        entry = bench.enter(stack, quota=Quota(max_documents=3, max_concurrent_requests=1))
        bench.gate.check_documents(entry, 3)
        with pytest.raises(QuotaExceededError):
            bench.gate.check_documents(entry, 4)
        with pytest.raises(QuotaExceededError):
            bench.enter(stack, quota=Quota(max_concurrent_requests=1))
    assert bench.refusals == [("red", "documents"), ("red", "concurrency")]


async def test_before_the_server_is_open_all_are_refused() -> None:
    refusals: list[str] = []
    gate = Gate(Permits(1), Rates(Local()), lambda _: None, lambda _tenant, reason: refusals.append(reason), max_wait=1)
    with pytest.raises(UnavailableError), gate.enter(RED, Quota()):
        raise AssertionError("admitted")
    assert refusals == ["starting"]

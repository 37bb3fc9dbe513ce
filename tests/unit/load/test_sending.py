"""Requests go out when they should, whatever the server does, and what became of each is known."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import grpc
import pytest
from grpc_status import rpc_status

from cascade.errors import CascadeError, OverloadedError
from cascade.load.generator import Generator, GeneratorError
from cascade.load.order import Closed, Open
from cascade.load.reply import Outcome
from cascade.load.schedule import Flow, schedule
from cascade.load.sending import Sender
from cascade_api.v1 import ranking_pb2, ranking_pb2_grpc, trace_pb2
from cascade_server.errors import QuotaExceededError
from cascade_server.status import status_of

Handler = Callable[[ranking_pb2.RankRequest, Any], Awaitable[ranking_pb2.RankResponse]]
POOL = {"pool": [ranking_pb2.RankRequest(cascade="words", query=f"question {n}").SerializeToString() for n in range(9)]}


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """A server whose Rank is `handler`."""

    class Servicer(ranking_pb2_grpc.RankingServiceServicer):
        async def Rank(self, request: ranking_pb2.RankRequest, context: Any) -> ranking_pb2.RankResponse:
            return await handler(request, context)

    server = grpc.aio.server()
    ranking_pb2_grpc.add_RankingServiceServicer_to_server(Servicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


async def answer(request: ranking_pb2.RankRequest, context: Any) -> ranking_pb2.RankResponse:
    response = ranking_pb2.RankResponse()
    response.provenance.cascade = request.cascade
    response.provenance.cascade_version = 7
    response.provenance.config_hash = "abc"
    response.trace.add(stage="bm25", tokens=40)
    response.trace.add(stage="cross", tokens=2).queue_time.FromMilliseconds(250)
    return response


def refuse(error: CascadeError) -> Handler:
    async def handler(request: ranking_pb2.RankRequest, context: Any) -> ranking_pb2.RankResponse:
        await context.abort_with_status(rpc_status.to_status(status_of(error)))
        raise AssertionError("not reached")

    return handler


def short(*reasons: str) -> Handler:
    async def handler(request: ranking_pb2.RankRequest, context: Any) -> ranking_pb2.RankResponse:
        response = ranking_pb2.RankResponse(degraded=True)
        for reason in reasons:
            response.trace.add(stage="cross", reason=reason, status=trace_pb2.STAGE_STATUS_SKIPPED)
        return response

    return handler


def order(target: str, *, rate: float = 100.0, deadline: float = 30.0, cheaper: bool = False) -> Open:
    flow = Flow("a", target, "pool", rate, (("x-cascade-tenant", "red"),), cheaper=cheaper)
    return Open((flow,), time.monotonic(), 0.3, deadline, seed=1)


async def sent(made: Open | Closed) -> list[Any]:
    begun = time.monotonic()
    sender = Sender(POOL)  # collects garbage, of which a long test run has much
    try:
        return await sender.run(replace(made, start=made.start + time.monotonic() - begun))
    finally:
        await sender.aclose()


async def test_a_server_that_answers_nobody_until_all_have_asked_is_asked_by_all() -> None:
    """A generator that waited for answers would never send the second request."""
    all_have_asked, asked = asyncio.Event(), 0

    async def handler(request: ranking_pb2.RankRequest, context: Any) -> ranking_pb2.RankResponse:
        nonlocal asked
        asked += 1
        if asked == expected:
            all_have_asked.set()
        await all_have_asked.wait()
        return await answer(request, context)

    async with serving(handler) as target:
        made = order(target)
        expected = len(schedule(made.flows, made.seconds, made.seed))
        replies = await sent(made)
    assert expected > 10
    assert [reply.outcome for reply in replies] == [Outcome.ANSWERED] * expected
    # Nobody was answered before the last one was sent: what the first waited is all counted.
    assert min(reply.done for reply in replies) >= max(reply.sent for reply in replies)


async def test_an_answer_says_what_made_it() -> None:
    async with serving(answer) as target:
        replies = await sent(order(target))
    made = {(r.cascade, r.version, r.config_hash, r.tokens, r.queued) for r in replies}
    assert made == {("words", 7, "abc", 42, 0.25)}
    assert all(reply.intended <= reply.sent <= reply.done for reply in replies)


async def test_calls_carry_what_the_flow_says() -> None:
    found = set()

    async def handler(request: ranking_pb2.RankRequest, context: Any) -> ranking_pb2.RankResponse:
        found.add(dict(context.invocation_metadata())["x-cascade-tenant"])
        return await answer(request, context)

    async with serving(handler) as target:
        await sent(order(target))
    assert found == {"red"}


@pytest.mark.parametrize(
    ("error", "outcome", "reason"),
    [
        (
            QuotaExceededError("red", "tokens_per_second", 9, 5, 1.0),
            Outcome.REFUSED,
            "QUOTA_EXCEEDED tokens_per_second",
        ),
        (OverloadedError("the server", 1.0), Outcome.REFUSED, "OVERLOADED the server"),
        (CascadeError("broken"), Outcome.FAILED, "CASCADE"),
    ],
)
async def test_refusals_and_failures_have_the_servers_reason(
    error: CascadeError, outcome: Outcome, reason: str
) -> None:
    async with serving(refuse(error)) as target:
        replies = await sent(order(target))
    assert {(reply.outcome, reply.reason) for reply in replies} == {(outcome, reason)}


@pytest.mark.parametrize(
    ("reasons", "allowed", "outcome"),
    [
        (["overloaded"], True, Outcome.CHEAPER),
        (["overloaded"], False, Outcome.DEGRADED),
        (["overloaded", "no_time"], True, Outcome.DEGRADED),
        (["overran"], True, Outcome.DEGRADED),
    ],
)
async def test_doing_less_is_fine_only_where_the_cascade_allows_it(
    reasons: list[str], allowed: bool, outcome: Outcome
) -> None:
    async with serving(short(*reasons)) as target:
        replies = await sent(order(target, cheaper=allowed))
    assert {reply.outcome for reply in replies} == {outcome}


async def test_what_is_not_answered_by_its_deadline_has_expired() -> None:
    async def never(request: ranking_pb2.RankRequest, context: Any) -> ranking_pb2.RankResponse:
        await asyncio.Event().wait()
        raise AssertionError("not reached")

    async with serving(never) as target:
        replies = await sent(order(target, deadline=0.2))
    assert {reply.outcome for reply in replies} <= {Outcome.EXPIRED, Outcome.UNSENT}
    assert Outcome.EXPIRED in {reply.outcome for reply in replies}


async def test_what_should_have_been_sent_long_ago_is_not_sent_at_all() -> None:
    async with serving(answer) as target:
        late = order(target, deadline=0.1)
        replies = await sent(Open(late.flows, late.start - 100, late.seconds, late.deadline, late.seed))
    assert {reply.outcome for reply in replies} == {Outcome.UNSENT}


async def test_a_server_that_is_gone_makes_failures() -> None:
    async with serving(answer) as target:
        pass
    replies = await sent(order(target))
    assert {reply.outcome for reply in replies} == {Outcome.FAILED}


async def test_a_closed_loop_keeps_so_many_in_progress() -> None:
    running, most = 0, 0

    async def handler(request: ranking_pb2.RankRequest, context: Any) -> ranking_pb2.RankResponse:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1
        return await answer(request, context)

    async with serving(handler) as target:
        replies = await sent(Closed(order(target).flows[0], time.monotonic(), 0.3, 30.0, 3))
    assert most == 3
    assert len(replies) > 3
    assert {reply.outcome for reply in replies} == {Outcome.ANSWERED}


async def test_the_generator_sends_from_a_process_of_its_own() -> None:
    async with serving(answer) as target:
        flow = order(target).flows[0]
        with Generator(POOL) as generator:
            phase = await generator.open("load", [flow], 0.3, deadline=30.0, seed=1)
            again = await generator.closed("capacity", flow, 0.2, deadline=30.0, concurrency=2)
    assert phase.counts()["answered"] == len(schedule([flow], 0.3, 1))
    assert phase.offered == {"a": 100.0}
    assert again.counts()["answered"] > 0


async def test_a_generator_that_ends_is_an_error() -> None:
    async with serving(answer) as target:
        flow = order(target).flows[0]
        with Generator({}) as generator:
            with pytest.raises(GeneratorError, match="KeyError"):
                await generator.open("load", [flow], 0.3, deadline=30.0, seed=1)
            generator.stop()
            with pytest.raises(GeneratorError, match="ended"):
                await generator.open("load", [flow], 0.3, deadline=30.0, seed=1)

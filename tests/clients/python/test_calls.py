"""Retries and errors of either client against a server that fails."""

from __future__ import annotations

import math
from typing import Any

import grpc
import pytest

from cascade_client import (
    AbortedError,
    ClientError,
    DeadlineError,
    Health,
    NotFoundError,
    OverloadedError,
    Priority,
    Quota,
    QuotaExceededError,
    ResourceExhaustedError,
    RetryBudget,
    UnavailableError,
    errors,
)

_CODES = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]


@pytest.mark.parametrize("code", _CODES, ids=lambda code: code.name)
def test_every_status_has_its_class(connect: Any, target: str, shelf: Any, code: grpc.StatusCode) -> None:
    shelf.fail(code)
    with pytest.raises(ClientError) as caught:
        connect(target, retries=0).info()
    assert type(caught.value).code is code
    assert caught.value.message == f"no: {code.name}"
    kinds = [kind for kind in ClientError.__subclasses__() if kind.code is code]
    assert kinds == [type(caught.value)]


def test_unavailable_is_retried(client: Any, shelf: Any) -> None:
    shelf.fail(grpc.StatusCode.UNAVAILABLE)
    shelf.fail(grpc.StatusCode.UNAVAILABLE)
    assert client.info().tenant == "acme"
    assert len(shelf.requests) == 3


def test_overloaded_waits_as_long_as_the_server_asks(client: Any, shelf: Any) -> None:
    shelf.fail(grpc.StatusCode.RESOURCE_EXHAUSTED, retry_after=0.05)
    client.info()
    first, second = shelf.arrivals
    assert second - first >= 0.05


def test_overloaded_for_longer_than_the_deadline_is_raised_at_once(client: Any, shelf: Any) -> None:
    shelf.fail(grpc.StatusCode.RESOURCE_EXHAUSTED, retry_after=3600.0)
    with pytest.raises(OverloadedError) as caught:
        client.info()
    assert caught.value.retry_after == 3600.0
    assert len(shelf.requests) == 1


def test_exhausted_without_retry_info_is_not_retried(client: Any, shelf: Any) -> None:
    shelf.fail(grpc.StatusCode.RESOURCE_EXHAUSTED)
    with pytest.raises(ResourceExhaustedError) as caught:
        client.info()
    assert type(caught.value) is ResourceExhaustedError
    assert len(shelf.requests) == 1


def test_a_quota_that_time_refills_is_waited_for(client: Any, shelf: Any) -> None:
    shelf.fail(grpc.StatusCode.RESOURCE_EXHAUSTED, retry_after=0.05, quota={"quota": "tokens_per_second"})
    client.info()
    first, second = shelf.arrivals
    assert second - first >= 0.05


def test_a_quota_that_never_allows_a_request_is_final_and_says_what_it_allows(client: Any, shelf: Any) -> None:
    shelf.fail(grpc.StatusCode.RESOURCE_EXHAUSTED, quota={"quota": "max_depth", "found": "100.0", "limit": "50.0"})
    with pytest.raises(QuotaExceededError) as caught:
        client.info(timeout=math.inf)
    error = caught.value
    assert (error.quota, error.found, error.limit, error.retry_after) == ("max_depth", 100.0, 50.0, math.inf)
    assert [v.field for v in error.details.quota_failures] == ["tenant:acme"]
    assert len(shelf.requests) == 1


def test_facts_that_another_server_words_differently_are_not_made_up(client: Any, shelf: Any) -> None:
    shelf.fail(grpc.StatusCode.RESOURCE_EXHAUSTED, quota={"found": "many"})
    with pytest.raises(QuotaExceededError) as caught:
        client.info()
    assert (caught.value.quota, caught.value.found, caught.value.limit) == ("", None, None)


def test_calls_of_one_client_share_its_budget_of_retries(connect: Any, target: str, shelf: Any) -> None:
    client = connect(target, retries=3, retry_budget=RetryBudget(0.0, most=4.0, per_second=0.0))
    for _ in range(9):
        shelf.fail(grpc.StatusCode.RESOURCE_EXHAUSTED, retry_after=0.0)
    for _ in range(5):
        with pytest.raises(OverloadedError):
            client.info()
    assert len(shelf.requests) == 5 + 4


def test_retries_run_out(connect: Any, target: str, shelf: Any) -> None:
    for _ in range(3):
        shelf.fail(grpc.StatusCode.ABORTED)
    with pytest.raises(AbortedError):
        connect(target, retries=1).info()
    assert len(shelf.requests) == 2


def test_all_tries_share_one_deadline(client: Any, shelf: Any) -> None:
    shelf.fail(grpc.StatusCode.UNAVAILABLE, retry_after=0.5)
    client.info(timeout=10.0)
    first, second = shelf.times_left
    assert second <= first - 0.3  # gRPC rounds the time left up by as much as a hundredth


def test_an_answer_after_the_deadline_is_an_error(client: Any, shelf: Any) -> None:
    shelf.hangs = True
    with pytest.raises(DeadlineError):
        client.info(timeout=0.05)
    with pytest.raises(DeadlineError):
        client.upsert("a", ["x"], timeout=0.05)


def test_nobody_listening_is_unavailable(connect: Any) -> None:
    with pytest.raises(UnavailableError):
        connect("localhost:1", retries=1).info()


def test_creating_is_not_repeated_when_it_may_have_happened(client: Any, shelf: Any) -> None:
    shelf.fail(grpc.StatusCode.UNAVAILABLE)
    with pytest.raises(UnavailableError):
        client.create_index("a")
    shelf.fail(grpc.StatusCode.UNAVAILABLE, retry_after=0.0)
    assert client.create_index("a").name == "a"


def test_a_stream_is_retried_only_before_its_first_update(client: Any, shelf: Any) -> None:
    shelf.fail(grpc.StatusCode.UNAVAILABLE, after=0)
    assert len(list(client.rank_stream("x", documents=["x"]))) == 2
    shelf.fail(grpc.StatusCode.UNAVAILABLE, after=1)
    with pytest.raises(UnavailableError):
        list(client.rank_stream("x", documents=["x"]))
    assert len(shelf.requests) == 3


def test_the_server_describes_itself(client: Any) -> None:
    info = client.info()
    assert (info.version, info.tenant, info.limits.max_top_k) == ("1.2", "acme", 5)
    assert [stage.depth for stage in info.cascades[0].stages] == [100]
    assert info.cascades[0].version == 4
    assert info.quota == Quota(tokens_per_second=5.5, max_depth=50, priority=Priority.LOW)
    assert (info.models[0].ready, info.models[0].problem) == (False, "broken")


def test_health_is_per_service(client: Any) -> None:
    assert client.health() is Health.SERVING
    assert client.health("cascade_api.v1.RankingService") is Health.NOT_SERVING
    with pytest.raises(NotFoundError):
        client.health("nothing")


def test_details_that_cannot_be_read_leave_the_status_and_message() -> None:
    class Broken(grpc.RpcError):
        def code(self) -> grpc.StatusCode:
            return grpc.StatusCode.NOT_FOUND

        def details(self) -> str:
            return "gone"

        def trailing_metadata(self) -> list[tuple[str, bytes]]:
            return [("grpc-status-details-bin", b"\xff\xff\xff")]

    error = errors.from_rpc(Broken())
    assert isinstance(error, NotFoundError)
    assert error.message == "gone"
    assert error.details == errors.Details()

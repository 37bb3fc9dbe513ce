"""Ranking through either client: what is sent, what comes back, and what it raises."""

from __future__ import annotations

import math
from typing import Any

import grpc
import pytest

from cascade_api.v1 import document_pb2
from cascade_client import (
    Document,
    Field,
    InvalidArgumentError,
    Provenance,
    ResourceExhaustedError,
    Result,
    StageScore,
    StageStatus,
    StageTrace,
    Truncation,
)


def test_an_answer_comes_back_as_plain_values(client: Any) -> None:
    ranked = client.rank("x", documents=["none", Document("a", "x x", title="T")], include_text=True, cascade="fast")
    assert ranked.results == (
        Result("a", 1, 2.0, "count", 1, "T", "x x", (StageScore("count", 1, 1.5),)),
        Result("", 2, 0.0, "count", 0, "", "none", (StageScore("count", 2, 1.5),)),
    )
    assert ranked.trace == (
        StageTrace(
            "count",
            "identity",
            StageStatus.TIMED_OUT,
            "overran",
            "ran out",
            4,
            3,
            1.5e-6,
            1.5,
            "m",
            tokens=12,
            truncated=1,
            cost=0.25,
        ),
    )
    assert ranked.degraded
    assert ranked.provenance == Provenance("fast", "", {"count": "m"}, cascade_version=4, canary=True)
    assert ranked.truncations == (Truncation("a", "count", 5, 9),)


def test_every_option_reaches_the_server(client: Any, shelf: Any) -> None:
    where = Field("year").ge(2020) & ~(Field("lang").eq("de") | Field("open").is_in(True, 1, 0.5))
    client.rank(
        "q",
        cascade="c",
        index="i",
        where=where,
        top_k=3,
        include_text=True,
        explain=True,
        budget=0.25,
        min_probability=0.5,
        sticky_key="user 7",
    )
    request = shelf.requests[0]
    assert (request.query, request.cascade, request.index, request.top_k) == ("q", "c", "i", 3)
    assert request.include_text
    assert request.explain
    assert request.budget.ToMilliseconds() == 250
    assert request.min_probability == 0.5
    assert request.sticky_key == "user 7"
    year, negated = request.filter.all_of.filters
    assert year.comparison.operator == document_pb2.COMPARISON_OPERATOR_GE
    assert year.comparison.values[0].int_value == 2020
    _, opened = negated.negated.any_of.filters
    assert [v.WhichOneof("value") for v in opened.comparison.values] == ["bool_value", "int_value", "double_value"]
    assert shelf.tenants == ["acme"]


def test_the_deadline_reaches_the_server(client: Any, shelf: Any) -> None:
    client.rank("x", documents=["x"])
    client.rank("x", documents=["x"], timeout=5.0)
    client.rank("x", documents=["x"], timeout=math.inf)
    first, second, third = shelf.times_left
    assert 6.0 < first < 21.0
    assert second < 6.0
    assert third > 1e6


def test_a_stream_gives_one_update_per_stage(client: Any) -> None:
    updates = list(client.rank_stream("x", documents=["x", "xx"]))
    assert [(u.stage, u.final) for u in updates] == [("bm25", False), ("cross", True)]
    assert updates[-1].ranked == client.rank("x", documents=["x", "xx"])


def test_metadata_keeps_its_four_types(client: Any, shelf: Any) -> None:
    client.rank("x", documents=[{"text": "x", "metadata": {"s": "a", "i": 2, "f": 2.5, "b": True}}])
    kinds = {key: value.WhichOneof("value") for key, value in shelf.requests[0].documents[0].metadata.items()}
    assert kinds == {"s": "string_value", "i": "int_value", "f": "double_value", "b": "bool_value"}


def test_every_document_that_cannot_be_sent_is_named(client: Any, shelf: Any) -> None:
    bad = [{"text": "x", "metadata": {"n": None}}, "fine", {"text": "\ud800"}, {"texts": "x"}, 7, {"text": 5}]
    with pytest.raises(InvalidArgumentError) as caught:
        client.rank("x", documents=bad)
    assert [v.field for v in caught.value.violations] == [
        "documents[0].metadata.n",
        "documents[2].text",
        "documents[3]",
        "documents[4]",
        "documents[5].text",
    ]
    assert "UTF-8" in caught.value.violations[1].message
    assert shelf.requests == []


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"top_k": -1}, "top_k"),
        ({"budget": math.nan}, "budget"),
        ({"min_probability": "half"}, "min_probability"),
        ({"documents": "one text"}, "documents"),
        ({"documents": [{"text": "x", "metadata": {"n": 2**64}}]}, "documents[0].metadata.n"),
        ({"where": Field("a").eq([1])}, "filter.comparison.values[0]"),  # type: ignore[arg-type]  # the mistake under test
        ({"where": "year > 3"}, "filter"),
    ],
)
def test_a_value_that_no_request_can_hold_names_its_field(client: Any, options: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        client.rank("x", **options)
    assert [v.field for v in caught.value.violations] == [field]


def test_violations_of_the_server_are_read(client: Any, shelf: Any) -> None:
    shelf.fail(grpc.StatusCode.INVALID_ARGUMENT, violations=[("query", "is blank"), ("top_k", "is 0")], reason="BAD")
    with pytest.raises(InvalidArgumentError, match="no: INVALID_ARGUMENT") as caught:
        client.rank(" ", documents=["x"])
    assert [(v.field, v.message) for v in caught.value.violations] == [("query", "is blank"), ("top_k", "is 0")]
    details = caught.value.details
    assert (details.reason, details.domain, details.metadata) == ("BAD", "cascade", {"kind": "index"})


def test_a_message_over_the_clients_limit_is_not_sent(connect: Any, target: str, shelf: Any) -> None:
    with pytest.raises(ResourceExhaustedError, match="larger than max"):
        connect(target, max_message_bytes=1000).rank("x", documents=["x" * 2000])
    assert shelf.requests == []


def test_a_message_over_the_servers_limit_is_not_retried(client: Any, shelf: Any) -> None:
    with pytest.raises(ResourceExhaustedError, match="larger than max"):
        client.rank("x", documents=["x" * 3_000_000])
    assert shelf.requests == []

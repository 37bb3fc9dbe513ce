"""What is wrong with a request is said with the right status and field, and the server goes on."""

from __future__ import annotations

import math
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf.duration_pb2 import Duration

from cascade_api.v1 import document_pb2, index_pb2, ranking_pb2

pytestmark = pytest.mark.asyncio(loop_scope="session")

INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
NAN = {"double_value": math.nan}


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def still_answers(plain: Any) -> Any:
    """After every test of this file the server answers a good request."""
    yield
    assert (await plain.rank()).results


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"query": ""}, "query", "is blank, expected a text to search for"),
        ({"query": " \n\t"}, "query", "is blank, expected a text to search for"),
        ({"query": "x" * 4097}, "query", "found 4097 characters, expected at most 4096"),
        ({"cascade": ""}, "cascade", "is empty, expected the name of one of the tenant's cascades"),
        ({"top_k": 0}, "top_k", "found 0, expected 1 to 1000"),
        ({"top_k": 1001}, "top_k", "found 1001, expected 1 to 1000"),
        ({"documents": []}, "documents", "found neither documents nor an index, expected exactly one of the two"),
        (
            {"index": "../../etc"},
            "index",
            'found "../../etc", expected lower-case letters, digits, _ and -',
        ),
        ({"min_probability": 1.5}, "min_probability", "found 1.5, expected a probability from 0 to 1"),
        ({"min_probability": math.nan}, "min_probability", "found nan, expected a probability from 0 to 1"),
        ({"min_probability": 0.0}, "min_probability", "no tier of cascade 'plain' is calibrated"),
        ({"budget": Duration(seconds=-1)}, "budget", "found -1 s and 0 ns, expected zero or more"),
    ],
)
async def test_a_field_that_breaks_a_rule_is_named(
    plain: Any, refused: Any, fields: dict[str, Any], field: str, message: str
) -> None:
    refusal = await refused(plain.rank(**fields))
    assert (refusal.code, refusal.reason) == (INVALID, "INVALID_INPUT")
    assert list(refusal.violations) == [field]
    assert refusal.violations[field].startswith(message)


async def test_an_index_and_documents_exclude_each_other(plain: Any, texts: Any, refused: Any) -> None:
    refusal = await refused(plain.rank(index="fruit", documents=texts("red apples")))
    assert refusal.code is INVALID
    assert refusal.violations == {"documents": "found documents beside an index, expected exactly one of the two"}


async def test_all_violations_are_reported_together(plain: Any, refused: Any) -> None:
    broken = document_pb2.Document(doc_id="a")
    broken.metadata["price"].double_value = math.nan
    broken.metadata["best before"].double_value = math.inf
    broken.metadata["colour"].SetInParent()
    good = document_pb2.Document(doc_id="a", text="red apples")
    refusal = await refused(plain.rank(query="", top_k=0, documents=[good, broken]))
    assert refusal.code is INVALID
    assert refusal.violations == {
        "query": "is blank, expected a text to search for",
        "top_k": "found 0, expected 1 to 1000",
        "documents[1]": "has neither text nor title, expected at least one",
        "documents[1].doc_id": '"a" is already the id of documents[0], expected each id once',
        'documents[1].metadata["best before"]': "found inf, expected a finite number",
        "documents[1].metadata.price": "found nan, expected a finite number",
        "documents[1].metadata.colour": "has no value, expected a string, an integer, a number or a boolean",
    }


async def test_violations_that_no_header_could_hold_are_counted(plain: Any, refused: Any) -> None:
    refusal = await refused(plain.rank(documents=[document_pb2.Document(doc_id=str(i)) for i in range(1000)]))
    assert refusal.code is INVALID
    named = len(refusal.violations) - 1
    assert named >= 10
    assert refusal.violations[""] == f"and {1000 - named} more violations, left out for their size"


async def test_a_position_that_another_document_took_as_its_id_is_a_duplicate(plain: Any, refused: Any) -> None:
    found = [document_pb2.Document(doc_id="1", text="red apples"), document_pb2.Document(text="green pears")]
    assert list((await refused(plain.rank(documents=found))).violations) == ["documents[1].doc_id"]


async def test_too_many_documents_are_refused(plain: Any, texts: Any, refused: Any) -> None:
    refusal = await refused(plain.rank(documents=texts(*["red apples"] * 1001)))
    assert refusal.violations == {"documents": "found 1001, expected at most 1000; keep that many in an index"}


async def test_a_document_of_10_megabytes_is_refused_by_its_length(plain: Any, texts: Any, refused: Any) -> None:
    refusal = await refused(plain.rank(documents=texts("red apples", "x" * 10_000_000)))
    assert refusal.code is INVALID
    assert refusal.violations == {
        "documents[1].text": "found 10000000 characters with the title, expected at most 1000000"
    }


async def test_a_message_over_the_limit_is_refused(plain: Any, refused: Any) -> None:
    refusal = await refused(plain.rank(query="x" * (16 * 1024 * 1024 + 1)))
    assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max" in refusal.message


async def test_invalid_utf8_names_every_field_that_has_it(plain: Any, texts: Any, refused: Any) -> None:
    found = texts("green pears", "ripe apples")
    found[1].metadata["colour"].string_value = "ripe"
    data = plain.request(query="ripe", documents=found).SerializeToString().replace(b"ripe", b"ri\xffe")
    refusal = await refused(plain.raw(data))
    assert (refusal.code, refusal.reason) == (INVALID, "INVALID_INPUT")
    message = "is not valid UTF-8, expected text in UTF-8"
    assert refusal.violations == {
        "query": message,
        "documents[1].text": message,
        "documents[1].metadata[0].value.string_value": message,
    }


async def test_bytes_that_are_no_message_are_refused(plain: Any, refused: Any) -> None:
    refusal = await refused(plain.raw(b"\x12\xff\xff"))
    assert refusal.code is INVALID
    assert refusal.violations["request"].startswith("cannot be read")


@pytest.mark.parametrize(
    ("condition", "field", "message"),
    [
        ({}, "filter", "has no condition, expected all_of, any_of, negated or comparison"),
        ({"all_of": {}}, "filter.all_of.filters", "is empty, expected at least one filter"),
        ({"negated": {"any_of": {}}}, "filter.negated.any_of.filters", "is empty, expected at least one filter"),
        (
            {"comparison": {"field": "a", "operator": "COMPARISON_OPERATOR_EQ"}},
            "filter.comparison.values",
            "is empty, expected a value to compare with",
        ),
        (
            {"comparison": {"field": "a", "operator": "COMPARISON_OPERATOR_LT", "values": [{"int_value": 1}] * 2}},
            "filter.comparison.values",
            "found 2 values, expected one; only IN takes several",
        ),
        (
            {"comparison": {"operator": "COMPARISON_OPERATOR_IN", "values": [{"int_value": 1}]}},
            "filter.comparison.field",
            "is empty, expected the name of a metadata field",
        ),
        (
            {"comparison": {"field": "a", "values": [{"int_value": 1}]}},
            "filter.comparison.operator",
            "found 0, expected one of EQ, NE, LT, LE, GT, GE and IN",
        ),
        (
            {
                "all_of": {
                    "filters": [{"comparison": {"field": "a", "operator": 1, "values": [{"double_value": math.nan}]}}]
                }
            },
            "filter.all_of.filters[0].comparison.values[0]",
            "found nan, expected a finite number",
        ),
    ],
)
async def test_a_filter_that_breaks_a_rule_is_named(
    plain: Any, refused: Any, condition: dict[str, Any], field: str, message: str
) -> None:
    refusal = await refused(plain.rank(filter=document_pb2.Filter(**condition)))
    assert refusal.code is INVALID
    assert refusal.violations == {field: message}


async def test_a_filter_of_too_many_conditions_is_refused(plain: Any, refused: Any) -> None:
    condition = {"comparison": {"field": "a", "operator": 1, "values": [{"int_value": 1}]}}
    wide = document_pb2.Filter(any_of=document_pb2.FilterList(filters=[condition] * 256))
    assert (await refused(plain.rank(filter=wide))).violations == {
        "filter": "found more than 256 conditions, expected at most that many"
    }


async def test_an_unknown_cascade_is_not_found_among_those_that_exist(plain: Any, refused: Any) -> None:
    refusal = await refused(plain.rank(cascade="fancy"))
    assert (refusal.code, refusal.reason) == (NOT_FOUND, "NOT_FOUND")
    assert refusal.message == "no cascade named 'fancy'; known: plain"
    assert refusal.facts == {"kind": "cascade", "name": "fancy"}


async def test_an_unknown_index_is_not_found(plain: Any, refused: Any) -> None:
    refusal = await refused(plain.rank(index="vegetables"))
    assert (refusal.code, refusal.facts) == (NOT_FOUND, {"kind": "index", "name": "vegetables"})


@pytest.mark.parametrize("tenant", ["stranger", "../default", "Default", "", "x" * 1000])
async def test_an_unknown_tenant_is_not_found_and_makes_no_metric(plain: Any, refused: Any, tenant: str) -> None:
    stub = plain.channel.unary_unary(
        "/cascade_api.v1.RankingService/Rank", request_serializer=ranking_pb2.RankRequest.SerializeToString
    )
    refusal = await refused(stub(plain.request(), metadata=(("x-cascade-tenant", tenant),)))
    assert refusal.code is NOT_FOUND
    assert "default" not in refusal.message.replace(repr(tenant), "")
    labels = {value for _, found in await plain.metrics() for name, value in found if name == "tenant"}
    assert labels == {"default", "other"}


async def test_a_damaged_index_is_data_loss_and_others_are_not_touched(plain: Any, refused: Any) -> None:
    refusal = await refused(plain.rank(index="damaged"))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.DATA_LOSS, "CORRUPT_INDEX")
    assert refusal.facts["index"] == "damaged"
    get = plain.indexes.GetIndex(index_pb2.GetIndexRequest(name="damaged"))
    assert (await refused(get)).code is grpc.StatusCode.DATA_LOSS
    listed = (await plain.indexes.ListIndexes(index_pb2.ListIndexesRequest())).indexes
    assert [(index.name, bool(index.problem)) for index in listed] == [("damaged", True)]


async def test_an_answer_over_the_message_limit_names_what_to_ask_less_of(
    serve: Any, configs: Any, texts: Any, refused: Any, tmp_path: Any
) -> None:
    async with serve(tmp_path, {"plain": configs["plain"]}, max_message_bytes=4096) as small:
        long = texts("red apples " * 300, "green pears")
        assert (await small.rank(documents=long)).results
        refusal = await refused(small.rank(documents=long, include_text=True, explain=True))
    assert refusal.code is INVALID
    assert list(refusal.violations) == ["include_text"]

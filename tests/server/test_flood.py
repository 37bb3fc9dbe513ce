"""A request of millions of empty parts costs no more than its first ones, since it is checked on the event loop."""

import pytest

from cascade.errors import InvalidInputError, Violation
from cascade_api.v1 import document_pb2, index_pb2, ranking_pb2
from cascade_server.convert.requests import MAX_EMPTY_IDS, deletion, rank_query
from cascade_server.settings import Settings

LIMITS = Settings(max_documents=3)
MANY = 5_000


def violations(request: ranking_pb2.RankRequest) -> tuple[Violation, ...]:
    with pytest.raises(InvalidInputError) as caught:
        rank_query(request, LIMITS)
    return caught.value.violations


def test_documents_beyond_the_limit_are_not_looked_at() -> None:
    documents = [document_pb2.Document()] * MANY
    found = violations(ranking_pb2.RankRequest(cascade="a", query="q", top_k=1, documents=documents))
    assert [v.field for v in found] == ["documents", "documents[0]", "documents[1]", "documents[2]"]


@pytest.mark.parametrize("join", ["all_of", "any_of"])
def test_conditions_beyond_the_limit_are_not_looked_at(join: str) -> None:
    condition = document_pb2.Filter(**{join: {"filters": [document_pb2.Filter()] * MANY}})
    found = violations(ranking_pb2.RankRequest(cascade="a", query="q", top_k=1, index="x", filter=condition))
    assert [v.field for v in found] == ["filter"]


def test_values_beyond_the_limit_are_not_looked_at() -> None:
    values = [document_pb2.MetadataValue()] * 10_050
    comparison = document_pb2.Comparison(field="a", operator=document_pb2.COMPARISON_OPERATOR_IN, values=values)
    found = violations(
        ranking_pb2.RankRequest(
            cascade="a", query="q", top_k=1, index="x", filter=document_pb2.Filter(comparison=comparison)
        )
    )
    assert found[0].message == "found 10050 values, expected at most 10000"
    assert len(found) == 10_001


def test_only_the_first_empty_ids_are_named() -> None:
    with pytest.raises(InvalidInputError) as caught:
        deletion(index_pb2.DeleteDocumentsRequest(index="a", doc_ids=[""] * MANY))
    assert len(caught.value.violations) == MAX_EMPTY_IDS

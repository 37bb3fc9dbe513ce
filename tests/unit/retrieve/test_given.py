"""Documents that came ranked stay as they were."""

from pathlib import Path

import pytest

from cascade.budget import Budget
from cascade.build import Models, bind_documents, bind_index, build_cascade
from cascade.config import parse
from cascade.errors import InvalidInputError
from cascade.filters import Comparison
from cascade.index import IndexStore
from cascade.retrieve import Given
from cascade.stages import Retriever
from cascade.testing import HashedWords, RetrieverConformance
from cascade.types import Document, Query

DOCUMENTS = [
    Document("z", "cake", metadata={"hot": True}),
    Document("a", "water"),
    Document("m", "tea", metadata={"hot": True}),
]
CASCADE = parse("retrieve: [{kind: given}]\ntiers: [{kind: identity, depth: 2}]", "test")


class TestGiven(RetrieverConformance):
    def make(self) -> Retriever:
        return Given(DOCUMENTS)


async def test_the_first_document_stays_first_whatever_was_asked() -> None:
    found = (await Given(DOCUMENTS).retrieve(Query("water"), depth=2, budget=Budget())).ranking
    assert [(c.doc_id, c.score, c.scored_by) for c in found] == [("z", 2.0, "given"), ("a", 1.0, "given")]


async def test_documents_that_may_not_answer_make_room() -> None:
    hot = Query("water", Comparison("hot", "eq", (True,)))
    found = (await Given(DOCUMENTS).retrieve(hot, depth=2, budget=Budget())).ranking
    assert found.doc_ids == ["z", "m"]


async def test_a_cascade_reranks_the_order_that_came_with_the_request() -> None:
    models = Models()
    cascade = build_cascade("given", CASCADE, models)
    corpus = bind_documents(CASCADE, DOCUMENTS, models)
    answer = await cascade.rank(Query("water"), corpus, top_k=3, budget=Budget())
    assert answer.ranking.doc_ids == ["z", "a", "m"]
    assert [(t.stage, t.candidates_out) for t in answer.trace] == [("given", 3), ("fuse", 3), ("identity", 2)]


def test_an_index_has_no_order_of_its_own_and_is_refused(tmp_path: Path) -> None:
    store = IndexStore(tmp_path, lambda reference: HashedWords())
    store.create("tea", "hashed-words")
    index = store.open("tea")
    with pytest.raises(
        InvalidInputError, match="index: retriever 'given' keeps the order of the request's own documents"
    ):
        bind_index(CASCADE, index.snapshot, Models())
    store.close()

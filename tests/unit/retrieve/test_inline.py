"""Retrieval from documents that came with the request."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from rank_bm25 import BM25Plus

from cascade.budget import Budget
from cascade.filters import Comparison
from cascade.index import IndexStore
from cascade.index.tokens import tokenize, tokenize_query
from cascade.inference.encoder import Encoded
from cascade.retrieve import Bm25Retriever, InlineBm25, InlineDense, InlineDocuments
from cascade.stages import DocumentSource, Retriever
from cascade.testing import HashedWords, RetrieverConformance
from cascade.types import Document, Query, Truncation

DOCUMENTS = [
    Document("0", "Pour boiling water over the leaves", metadata={"hot": True}),
    Document("1", "Freeze water overnight", title="Ice"),
    Document("2", "Bake flour, yeast and salt", metadata={"hot": True}),
    Document("3", ""),
]


class TestInlineBm25(RetrieverConformance):
    def make(self) -> Retriever:
        return InlineBm25(DOCUMENTS)


class TestInlineDense(RetrieverConformance):
    def make(self) -> Retriever:
        return InlineDense(DOCUMENTS, HashedWords())


async def _bm25(query: str, documents: list[Document], depth: int = 10) -> list[tuple[str, float]]:
    found = await InlineBm25(documents).retrieve(Query(query), depth=depth, budget=Budget())
    return [(candidate.doc_id, candidate.score) for candidate in found.ranking]


async def test_every_document_takes_part() -> None:
    found = await _bm25("water", DOCUMENTS)
    assert [doc_id for doc_id, _ in found] == ["1", "0", "2", "3"]
    assert [score > 0 for _, score in found] == [True, True, False, False]
    dense = InlineDense(DOCUMENTS, HashedWords())
    assert len((await dense.retrieve(Query("water"), depth=10, budget=Budget())).ranking) == 4


async def test_scores_are_those_of_rank_bm25() -> None:
    engine = BM25Plus([tokenize(d.passage) for d in DOCUMENTS], k1=0.9, b=0.4, delta=0)
    expected = engine.get_scores(tokenize_query("boiling water and ice"))
    retriever = InlineBm25(DOCUMENTS, k1=0.9, b=0.4)
    found = (await retriever.retrieve(Query("boiling water and ice"), depth=10, budget=Budget())).ranking
    assert {c.doc_id: c.score for c in found} == pytest.approx({str(i): s for i, s in enumerate(expected)})


async def test_inline_documents_score_as_in_an_index(tmp_path_factory: pytest.TempPathFactory) -> None:
    store = IndexStore(tmp_path_factory.mktemp("indexes"), lambda reference: HashedWords())
    store.create("same", "hashed-words")
    store.open("same").upsert(DOCUMENTS[:3])
    snapshot = store.open("same").snapshot
    for text in ("boiling water", "ice", "salt and water over leaves"):
        indexed = (await Bm25Retriever(snapshot).retrieve(Query(text), depth=10, budget=Budget())).ranking
        inline = [pair for pair in await _bm25(text, DOCUMENTS[:3]) if pair[1] > 0]
        assert [c.doc_id for c in indexed] == [doc_id for doc_id, _ in inline]
        assert [c.score for c in indexed] == pytest.approx([score for _, score in inline], rel=1e-5)


async def test_a_single_document_scores_above_zero_when_it_shares_a_term() -> None:
    ((doc_id, score),) = await _bm25("water", DOCUMENTS[:1])
    assert doc_id == "0"
    assert score > 0


@pytest.mark.parametrize("texts", [[""], ["?!", "..."], ["", "", ""]])
async def test_documents_without_words_score_zero(texts: list[str]) -> None:
    documents = [Document(str(i), text) for i, text in enumerate(texts)]
    assert await _bm25("water", documents) == [(str(i), 0.0) for i in range(len(texts))]


async def test_a_query_without_words_scores_zero_everywhere() -> None:
    assert {score for _, score in await _bm25("?!", DOCUMENTS)} == {0.0}


async def test_a_word_in_every_document_never_counts_against_one() -> None:
    documents = [Document(str(i), "water " + word) for i, word in enumerate(["red", "green", "blue"])]
    assert all(score > 0 for _, score in await _bm25("water", documents))


async def test_depth_cuts_the_ranking() -> None:
    assert len(await _bm25("water", DOCUMENTS, depth=2)) == 2


async def test_the_filter_of_a_query_applies_to_inline_documents() -> None:
    query = Query("water", Comparison("hot", "eq", (True,)))
    for retriever in (InlineBm25(DOCUMENTS), InlineDense(DOCUMENTS, HashedWords())):
        found = await retriever.retrieve(query, depth=10, budget=Budget())
        assert set(found.ranking.doc_ids) == {"0", "2"}


async def test_a_filter_that_no_document_meets_leaves_none() -> None:
    query = Query("water", Comparison("hot", "eq", ("no",)))
    for retriever in (InlineBm25(DOCUMENTS), InlineDense(DOCUMENTS, HashedWords())):
        assert len((await retriever.retrieve(query, depth=10, budget=Budget())).ranking) == 0


async def test_dense_puts_the_document_with_the_same_words_first() -> None:
    encoder = HashedWords()
    retriever = InlineDense(DOCUMENTS, encoder, name="meaning")
    found = await retriever.retrieve(Query("Bake flour, yeast and salt"), depth=10, budget=Budget())
    assert found.ranking.doc_ids[0] == "2"
    assert found.ranking.candidates[0].scored_by == "meaning"
    assert encoder.encoded == [d.passage for d in DOCUMENTS]


async def test_inline_documents_come_by_id() -> None:
    source = InlineDocuments(DOCUMENTS)
    assert isinstance(source, DocumentSource)
    assert await source.fetch(["2", "nowhere"]) == {"2": DOCUMENTS[2]}


class OneWord(HashedWords):
    """Reads the first word of a passage only."""

    async def encode_passages(self, passages: Sequence[str], *, budget: Budget) -> Encoded:
        encoded = await super().encode_passages(passages, budget=budget)
        return replace(encoded, queue_time=0.5, seen=tuple((min(1, total), total) for _, total in encoded.seen))


async def test_a_document_of_which_the_encoder_read_only_the_beginning_is_told() -> None:
    documents = [Document("long", "three words here"), Document("short", "word")]
    usage = (await InlineDense(documents, OneWord()).retrieve(Query("two words"), depth=2, budget=Budget())).usage
    assert usage.truncations == (Truncation("long", "dense", 1, 3),)
    assert (usage.tokens, usage.queue_time) == (4, 0.5)

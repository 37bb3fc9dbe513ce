"""Retrieval from an index."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cascade.budget import Budget
from cascade.filters import Comparison
from cascade.index import IndexStore, Snapshot
from cascade.index.info import Vectors
from cascade.retrieve import Bm25Retriever, DenseRetriever, SnapshotDocuments
from cascade.stages import DocumentSource, Retriever, Usage
from cascade.testing import FakeClock, HashedWords, RetrieverConformance
from cascade.types import Document, Query

DOCUMENTS = [
    Document("tea", "Pour boiling water over the leaves", metadata={"hot": True}),
    Document("ice", "Freeze water overnight", metadata={"hot": False}),
    Document("soup", "Boil water with bones and water again", metadata={"hot": True}),
    Document("bread", "Bake flour, yeast and salt", metadata={"hot": True}),
]


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snapshot]:
    folder: Path = tmp_path_factory.mktemp("indexes")
    store = IndexStore(folder, lambda reference: HashedWords())
    store.create("kitchen", "hashed-words")
    store.open("kitchen").upsert(DOCUMENTS)
    yield store.open("kitchen").snapshot
    store.close()


class TestBm25(RetrieverConformance):
    @pytest.fixture(autouse=True)
    def _snapshot(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    def make(self) -> Retriever:
        return Bm25Retriever(self.snapshot)


class TestDense(RetrieverConformance):
    @pytest.fixture(autouse=True)
    def _snapshot(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    def make(self) -> Retriever:
        return DenseRetriever(self.snapshot, HashedWords())


async def test_bm25_finds_only_documents_that_share_a_term(snapshot: Snapshot) -> None:
    found = await Bm25Retriever(snapshot).retrieve(Query("boiled water"), depth=10, budget=Budget())
    assert set(found.ranking.doc_ids) == {"soup", "tea", "ice"}
    assert found.ranking.doc_ids[-1] == "ice"
    assert all(candidate.scored_by == "bm25" and candidate.score > 0 for candidate in found.ranking)


async def test_dense_ranks_every_document_and_passes_on_what_encoding_cost(snapshot: Snapshot) -> None:
    retriever = DenseRetriever(snapshot, HashedWords(), name="meaning")
    found = await retriever.retrieve(Query("Freeze water overnight"), depth=10, budget=Budget())
    assert found.ranking.doc_ids[0] == "ice"
    assert len(found.ranking) == 4
    assert found.ranking.candidates[0].score == pytest.approx(1.0, abs=1e-5)
    assert found.ranking.candidates[0].scored_by == "meaning"
    assert found.usage.tokens == 3


@pytest.mark.parametrize("depth", [1, 10])
async def test_only_documents_that_meet_the_filter_are_found(snapshot: Snapshot, depth: int) -> None:
    query = Query("water", Comparison("hot", "eq", (False,)))
    for retriever in (Bm25Retriever(snapshot), DenseRetriever(snapshot, HashedWords())):
        assert (await retriever.retrieve(query, depth=depth, budget=Budget())).ranking.doc_ids == ["ice"]


async def test_a_query_that_no_document_shares_a_term_with_finds_nothing(snapshot: Snapshot) -> None:
    assert len((await Bm25Retriever(snapshot).retrieve(Query("xylophone"), depth=5, budget=Budget())).ranking) == 0


async def test_a_search_whose_time_ran_out_while_the_query_was_encoded_does_not_run(snapshot: Snapshot) -> None:
    clock = FakeClock()

    class Slow(HashedWords):
        async def encode_query(self, text: str, *, budget: Budget) -> tuple[Vectors, Usage]:
            clock.advance(2.0)
            return await super().encode_query(text, budget=Budget())

    with pytest.raises(TimeoutError, match="before the search"):
        await DenseRetriever(snapshot, Slow()).retrieve(Query("water"), depth=5, budget=Budget.of(1.0, clock))


async def test_the_documents_of_a_snapshot_come_by_id(snapshot: Snapshot) -> None:
    source = SnapshotDocuments(snapshot)
    assert isinstance(source, DocumentSource)
    assert await source.fetch(["soup", "nowhere"]) == {"soup": DOCUMENTS[2]}

"""The late interaction tier, with texts and with token vectors that an index keeps."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from cascade.budget import Budget
from cascade.inference.multi_vector import MultiVectorModel
from cascade.rerank.late_interaction import LateInteractionReranker
from cascade.retrieve import InlineDocuments
from cascade.stages import Corpus, Reranker, StoredVectors, SupportsCorpus, SupportsCostEstimate
from cascade.testing import RerankerConformance, candidates_of
from cascade.types import Query


class Kept:
    """Token vectors of some documents."""

    def __init__(self, reference: str, vectors: Mapping[str, StoredVectors]) -> None:
        self.reference = reference
        self._vectors = vectors

    def fetch(self, doc_ids: Sequence[str]) -> Mapping[str, StoredVectors]:
        return {doc_id: self._vectors[doc_id] for doc_id in doc_ids if doc_id in self._vectors}


class TestLateInteraction(RerankerConformance):
    @pytest.fixture(autouse=True)
    def folder(self, tiny_multi_vector: Path) -> None:
        self.model = MultiVectorModel(str(tiny_multi_vector), device="cpu")

    def make(self) -> LateInteractionReranker:
        return LateInteractionReranker("late", self.model)

    def over(self, kept: Kept | None) -> Reranker:
        tier = self.make()
        assert isinstance(tier, SupportsCorpus)
        return tier.over(Corpus({}, InlineDocuments([]), size=4, token_vectors=kept))

    def keep(self, texts: Sequence[str], reference: str = "") -> Kept:
        stored = self.model.encode_documents(texts)
        return Kept(reference or self.model.reference, {f"d{i}": one for i, one in enumerate(stored)})

    async def test_it_reports_every_document_that_it_cut(self) -> None:
        candidates = candidates_of(["short", "word " * 500])
        scores = await self.make().score(Query("q"), candidates, budget=Budget())
        assert [(t.doc_id, t.stage, t.tokens_total) for t in scores.usage.truncations] == [("d1", "late", 500)]

    async def test_what_was_cut_when_it_was_indexed_is_reported_too(self) -> None:
        texts = ["short", "word " * 500]
        scores = await self.over(self.keep(texts)).score(Query("q"), candidates_of(texts), budget=Budget())
        (cut,) = scores.usage.truncations
        assert (cut.doc_id, cut.tokens_seen, cut.tokens_total) == ("d1", 62, 500)

    async def test_kept_vectors_are_not_made_again(self) -> None:
        candidates = candidates_of(self.texts)
        read = await self.make().score(Query(self.query), candidates, budget=Budget())
        kept = await self.over(self.keep(self.texts)).score(Query(self.query), candidates, budget=Budget())
        assert kept.values == pytest.approx(read.values, abs=5e-3)
        assert kept.usage.tokens == 4 + 2 < read.usage.tokens  # of the query alone, [CLS] and [SEP] included

    async def test_a_document_that_has_none_is_read(self) -> None:
        candidates = candidates_of(self.texts)
        read = await self.make().score(Query(self.query), candidates, budget=Budget())
        some = await self.over(self.keep(self.texts[:2])).score(Query(self.query), candidates, budget=Budget())
        assert some.values == pytest.approx(read.values, abs=5e-3)
        assert some.values[2:] == pytest.approx(read.values[2:], abs=1e-6)

    async def test_vectors_of_another_model_are_left_alone(self) -> None:
        other = self.keep(["the museum opens at nine"] * 4, reference="another")
        read = await self.make().score(Query(self.query), candidates_of(self.texts), budget=Budget())
        found = await self.over(other).score(Query(self.query), candidates_of(self.texts), budget=Budget())
        assert found.values == read.values

    async def test_binding_it_to_a_corpus_changes_nothing_for_others(self) -> None:
        tier = self.make()
        before = await tier.score(Query(self.query), candidates_of(self.texts), budget=Budget())
        bound = tier.over(Corpus({}, InlineDocuments([]), size=4, token_vectors=self.keep(["nothing"] * 4)))
        assert bound is not tier
        assert await tier.score(Query(self.query), candidates_of(self.texts), budget=Budget()) != await bound.score(
            Query(self.query), candidates_of(self.texts), budget=Budget()
        )
        after = await tier.score(Query(self.query), candidates_of(self.texts), budget=Budget())
        assert after.values == before.values

    async def test_its_cost_is_known_after_the_first_call_and_less_with_kept_vectors(self) -> None:
        tier, candidates = self.make(), candidates_of(self.texts)
        assert isinstance(tier, SupportsCostEstimate)
        await tier.score(Query("q"), candidates, budget=Budget())
        kept = self.over(self.keep(self.texts))
        assert isinstance(kept, SupportsCostEstimate)
        assert 0 < kept.estimate_cost(Query("q"), candidates) < tier.estimate_cost(Query("q"), candidates)

    async def test_expired_work_does_not_run(self) -> None:
        with pytest.raises(TimeoutError):
            await self.make().score(Query("q"), candidates_of(self.texts), budget=Budget.of(0.0))

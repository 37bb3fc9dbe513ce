"""The cross-encoder tier."""

from pathlib import Path

import pytest

from cascade.budget import Budget
from cascade.inference.cross_encoder import CrossEncoderModel
from cascade.rerank.cross_encoder import CrossEncoderReranker
from cascade.stages import Reranker, SupportsCostEstimate
from cascade.testing import RerankerConformance, candidates_of
from cascade.types import Query


class TestCrossEncoder(RerankerConformance):
    @pytest.fixture(autouse=True)
    def folder(self, tiny_cross_encoder: Path) -> None:
        self.model = CrossEncoderModel(str(tiny_cross_encoder), device="cpu", deterministic=True)

    def make(self) -> Reranker:
        return CrossEncoderReranker("cross", self.model, max_length=64)

    async def test_it_reports_every_document_that_it_cut(self) -> None:
        candidates = candidates_of(["short", "word " * 500])
        scores = await self.make().score(Query("q"), candidates, budget=Budget())
        assert [(t.doc_id, t.stage, t.tokens_total) for t in scores.usage.truncations] == [("d1", "cross", 500)]
        assert scores.usage.truncations[0].tokens_seen < 64

    async def test_its_cost_is_known_after_the_first_call(self) -> None:
        tier, candidates = self.make(), candidates_of(self.texts)
        assert isinstance(tier, SupportsCostEstimate)
        await tier.score(Query("q"), candidates, budget=Budget())
        assert tier.estimate_cost(Query("q"), candidates) > 0

    async def test_expired_work_does_not_run(self) -> None:
        with pytest.raises(TimeoutError):
            await self.make().score(Query("q"), candidates_of(self.texts), budget=Budget.of(0.0))

"""The tier that keeps the order it received."""

from cascade.rerank.identity import IdentityReranker
from cascade.stages import Reranker
from cascade.testing import RerankerConformance


class TestIdentity(RerankerConformance):
    def make(self) -> Reranker:
        return IdentityReranker()

    async def test_the_order_stands(self) -> None:
        values = await self._scores(self.texts)
        assert list(values) == sorted(values, reverse=True)

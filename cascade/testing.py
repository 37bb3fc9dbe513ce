"""What tests need: a clock that is told the time, an encoder without weights, and conformance classes to inherit."""

from __future__ import annotations

import asyncio
import math
import zlib
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from cascade.budget import Budget
from cascade.inference.encoder import Encoded
from cascade.inference.stored_vectors import quantised
from cascade.stages import Fuser, Reranker, Retriever, StoredVectors, TokenisedText, Usage
from cascade.types import Candidate, Query, Ranking


class FakeClock:
    """Time in seconds that passes only when told."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self.now += seconds


class HashedWords:
    """A bi-encoder without weights: a vector counts a text's words by their hash; unit length."""

    def __init__(self, dimensions: int = 64) -> None:
        self.reference = "hashed-words"
        self.dimensions = dimensions
        self.encoded: list[str] = []

    def encode_documents(self, passages: Sequence[str]) -> npt.NDArray[np.float32]:
        """float32 vectors (n, dimensions); what was asked for is in `encoded`."""
        self.encoded.extend(passages)
        return np.stack([self._vector(passage) for passage in passages])

    async def encode_query(self, text: str, *, budget: Budget) -> tuple[npt.NDArray[np.float32], Usage]:
        """A float32 vector (dimensions,)."""
        if budget.expired:
            raise TimeoutError("the budget was spent before the query was encoded")
        return self._vector(text), Usage(tokens=len(text.split()))

    async def encode_passages(self, passages: Sequence[str], *, budget: Budget) -> Encoded:
        """Vectors (n, dimensions); every word is a token, and all are seen."""
        words = [len(passage.split()) for passage in passages]
        return Encoded(self.encode_documents(passages), 0.0, tuple((n, n) for n in words))

    def _vector(self, text: str) -> npt.NDArray[np.float32]:
        vector = np.full(self.dimensions, 1e-3, dtype=np.float32)
        for word in text.lower().split():
            vector[zlib.crc32(word.encode()) % self.dimensions] += 1.0
        return vector / np.float32(np.linalg.norm(vector))


class HashedTokens:
    """A multi-vector model without weights: every word is a vector by its hash, and texts are cut at `most` words."""

    def __init__(self, dimensions: int = 16, most: int = 8) -> None:
        self.reference = "hashed-tokens"
        self.dimensions = dimensions
        self.encoded: list[str] = []
        self._most = most

    def encode_documents(self, passages: Sequence[str]) -> list[StoredVectors]:
        """The vectors of every passage, in order; what was asked for is in `encoded`."""
        self.encoded.extend(passages)
        return [self._stored(passage.lower().split()) for passage in passages]

    def _stored(self, words: Sequence[str]) -> StoredVectors:
        vectors = np.full((min(len(words), self._most), self.dimensions), 0.1, dtype=np.float32)
        for row, word in enumerate(words[: self._most]):
            vectors[row, zlib.crc32(word.encode()) % self.dimensions] += 1.0
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return quantised(unit, len(vectors), len(words))


class HashedIds:
    """A tokenizer without a vocabulary: a word's id is its hash below 2**16, and texts are cut at `most` words."""

    def __init__(self, fingerprint: str = "hashed-ids", most: int = 8) -> None:
        self.fingerprint = fingerprint
        self.made: list[str] = []
        self._most = most

    def __call__(self, texts: Sequence[str]) -> list[TokenisedText]:
        """The ids of every text, in order; what was asked for is in `made`."""
        self.made.extend(texts)
        return [self._ids(text.split()) for text in texts]

    def _ids(self, words: Sequence[str]) -> TokenisedText:
        ids = [zlib.crc32(word.encode()) % 2**16 for word in words[: self._most]]
        return TokenisedText(np.array(ids, dtype=np.uint16), len(words))


def candidates_of(texts: Sequence[str]) -> list[Candidate]:
    """Candidates d0, d1, ... with these texts, in this order."""
    return [Candidate(f"d{i}", -float(i), i + 1, "test", text) for i, text in enumerate(texts)]


class RerankerConformance(ABC):
    """What every reranker promises; a test class inherits it and says how to make one."""

    query = "how is water boiled"
    texts = (
        "Water boils at one hundred degrees Celsius at sea level.",
        "Heat the water until it bubbles.",
        "The museum opens at nine.",
        "",
    )
    rounding = 0.0
    """How far from what it is alone a score may be: a batch that holds others' rows may round differently."""

    @abstractmethod
    def make(self) -> Reranker:
        """A reranker that is ready to be warmed up."""

    async def _scores(self, texts: Sequence[str], budget: Budget | None = None) -> tuple[float, ...]:
        scores = await self.make().score(Query(self.query), candidates_of(texts), budget=budget or Budget())
        return scores.values

    async def test_it_meets_the_protocol(self) -> None:
        """The engine can hold it."""
        assert isinstance(self.make(), Reranker)

    async def test_it_gives_one_finite_score_per_candidate(self) -> None:
        """Also for an empty text."""
        values = await self._scores(self.texts)
        assert len(values) == len(self.texts)
        assert all(math.isfinite(v) for v in values)

    async def test_it_scores_the_same_request_the_same_twice(self) -> None:
        """Nothing of a request stays behind."""
        assert await self._scores(self.texts) == await self._scores(self.texts)

    async def test_it_scores_a_single_candidate(self) -> None:
        """A batch of one is no special case."""
        assert len(await self._scores(self.texts[:1])) == 1

    async def test_it_leaves_its_arguments_alone(self) -> None:
        """Data flows one way."""
        given = candidates_of(self.texts)
        before = list(given)
        await self.make().score(Query(self.query), given, budget=Budget())
        assert given == before

    async def test_concurrent_requests_do_not_mix(self) -> None:
        """Each gets the scores it would get alone."""
        halves = (self.texts[:2], self.texts[2:])
        alone = [await self._scores(half) for half in halves]
        reranker = self.make()
        calls = [reranker.score(Query(self.query), candidates_of(half), budget=Budget()) for half in halves]
        for scores, expected in zip(await asyncio.gather(*calls), alone, strict=True):
            assert all(abs(a - b) <= self.rounding for a, b in zip(scores.values, expected, strict=True))


class RetrieverConformance(ABC):
    """What every retriever promises over a corpus that has at least three documents."""

    query = "water"

    @abstractmethod
    def make(self) -> Retriever:
        """A retriever that finds something for `query`."""

    async def test_it_finds_at_most_depth(self) -> None:
        """Best first, and no more than asked."""
        wide = (await self.make().retrieve(Query(self.query), depth=3, budget=Budget())).ranking
        narrow = (await self.make().retrieve(Query(self.query), depth=1, budget=Budget())).ranking
        assert len(wide) >= 1
        assert narrow.doc_ids == wide.doc_ids[:1]

    async def test_it_does_not_start_without_time(self) -> None:
        """Expired work is dropped before it runs."""
        with pytest.raises(TimeoutError):
            await self.make().retrieve(Query(self.query), depth=3, budget=Budget.of(0.0))


class FuserConformance(ABC):
    """What every fuser promises."""

    @abstractmethod
    def make(self) -> Fuser:
        """A fuser with its default settings."""

    def test_it_ranks_every_document_once(self) -> None:
        """The union of what came in."""
        left = Ranking.from_scores([("a", 3.0), ("b", 2.0)], "left")
        right = Ranking.from_scores([("b", 9.0), ("c", 1.0)], "right")
        assert sorted(self.make().fuse({"left": left, "right": right}).doc_ids) == ["a", "b", "c"]

    def test_it_keeps_the_order_of_a_single_ranking(self) -> None:
        """Fusing one is no change."""
        only = Ranking.from_scores([("a", 3.0), ("b", 2.0), ("c", 1.0)], "only")
        assert self.make().fuse({"only": only}).doc_ids == ["a", "b", "c"]

    def test_it_ranks_nothing_when_nothing_was_found(self) -> None:
        """Empty rankings are no error."""
        assert len(self.make().fuse({"left": Ranking(), "right": Ranking()})) == 0

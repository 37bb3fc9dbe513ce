"""Tiers whose models remember: the same answers, for less."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.budget import Account, Budget
from cascade.inference.caches import Caches
from cascade.inference.cross_encoder import CrossEncoderModel
from cascade.inference.encoder import Encoder
from cascade.inference.multi_vector import MultiVectorModel
from cascade.rerank.cross_encoder import CrossEncoderReranker
from cascade.rerank.late_interaction import LateInteractionReranker
from cascade.retrieve import InlineDocuments
from cascade.stages import Corpus, Reranker, Scores, TokenisedText
from cascade.testing import RerankerConformance, candidates_of
from cascade.types import Candidate, Query

ReadsIds = CrossEncoderReranker | LateInteractionReranker
TEXTS = [
    "Water boils at one hundred degrees Celsius at sea level.",
    "Heat the water until it bubbles.",
    "The museum opens at nine.",
    "word " * 300,
]
ACME, ZENITH = (Budget(account=Account(name)) for name in ("acme", "zenith"))


class Watched:
    """A cross-encoder tier, with what its model ran: items and tokens of every batch."""

    def __init__(self, folder: Path, caches: Caches | None) -> None:
        self.batches: list[tuple[int, int]] = []
        self.model = CrossEncoderModel(
            str(folder),
            device="cpu",
            cache=caches,
            on_batch=lambda _m, items, tokens: self.batches.append((items, tokens)),
        )
        self.model.ensure_loaded()
        self.batches.clear()
        self.tier = CrossEncoderReranker("cross", self.model, max_length=64)

    async def score(self, texts: Sequence[str], query: str = "how is water boiled", budget: Budget = ACME) -> Scores:
        return await self.tier.score(Query(query), candidates_of(texts), budget=budget)


@pytest.fixture
def caches() -> Caches:
    return Caches(1_000_000)


@pytest.fixture
def watched(tiny_cross_encoder: Path, caches: Caches) -> Watched:
    return Watched(tiny_cross_encoder, caches)


class TestACrossEncoderThatRemembers(RerankerConformance):
    @pytest.fixture(autouse=True)
    def folder(self, tiny_cross_encoder: Path, caches: Caches) -> None:
        self.model = CrossEncoderModel(str(tiny_cross_encoder), device="cpu", cache=caches)

    def make(self) -> Reranker:
        return CrossEncoderReranker("cross", self.model, max_length=64)


class TestALateInteractionThatRemembers(RerankerConformance):
    @pytest.fixture(autouse=True)
    def folder(self, tiny_multi_vector: Path, caches: Caches) -> None:
        self.model = MultiVectorModel(str(tiny_multi_vector), device="cpu", cache=caches)

    def make(self) -> Reranker:
        return LateInteractionReranker("late", self.model)


async def test_what_was_scored_is_not_read_again_and_costs_no_tokens(watched: Watched, caches: Caches) -> None:
    first = await watched.score(TEXTS)
    assert (first.usage.cached, sum(tokens for _, tokens in watched.batches)) == (0, first.usage.tokens)
    ran = len(watched.batches)
    again = await watched.score(TEXTS)
    assert again.values == first.values
    assert (again.usage.tokens, again.usage.cached, again.usage.queue_time) == (0, 4, 0.0)
    assert again.usage.truncations == first.usage.truncations != ()
    assert len(watched.batches) == ran
    assert (caches.scores.stats.hits, caches.scores.stats.misses) == (4, 4)


async def test_only_what_is_new_is_read_and_a_changed_document_is_new(watched: Watched) -> None:
    first = await watched.score(TEXTS)
    watched.batches.clear()
    changed = [*TEXTS[:1], "Heat the water until it bubbles!", *TEXTS[2:], "Another one."]
    again = await watched.score(changed)
    alone = await watched.score(changed, budget=ZENITH)
    assert sum(items for items, _ in watched.batches[:1]) == 2
    assert again.usage.cached == 3
    assert again.usage.tokens == watched.batches[0][1]
    assert again.values == pytest.approx(alone.values, abs=1e-5)
    assert (again.values[0], again.values[2:4]) == (first.values[0], first.values[2:4])


async def test_one_account_does_not_see_what_another_one_asked(watched: Watched) -> None:
    await watched.score(TEXTS)
    other = await watched.score(TEXTS, budget=ZENITH)
    assert (other.usage.cached, other.usage.tokens > 0) == (0, True)


async def test_another_query_another_length_and_another_model_are_computed(
    watched: Watched, tiny_cross_encoder: Path, caches: Caches
) -> None:
    await watched.score(TEXTS)
    assert (await watched.score(TEXTS, "when does the museum open")).usage.cached == 0
    shorter = CrossEncoderReranker("cross", watched.model, max_length=32)
    assert (await shorter.score(Query("how is water boiled"), candidates_of(TEXTS), budget=ACME)).usage.cached == 0
    canary = Watched(tiny_cross_encoder, caches)
    assert (await canary.score(TEXTS)).usage.cached == 0


async def test_a_tier_of_another_name_that_reads_alike_shares_what_is_remembered(watched: Watched) -> None:
    first = await watched.score(TEXTS)
    other = CrossEncoderReranker("second", watched.model, max_length=64)
    again = await other.score(Query("how is water boiled"), candidates_of(TEXTS), budget=ACME)
    assert (again.values, again.usage.cached) == (first.values, 4)
    assert [cut.stage for cut in again.usage.truncations] == ["second"]


async def test_an_estimate_is_of_what_is_not_remembered_and_the_rate_of_what_was_read(watched: Watched) -> None:
    query, candidates = Query("how is water boiled"), candidates_of(TEXTS)
    await watched.score(TEXTS[:2])
    rate = watched.model.cost.seconds(1)
    whole = watched.tier.estimate_cost(query, candidates, account="zenith")
    assert 0 < watched.tier.estimate_cost(query, candidates, account="acme") < whole
    assert watched.tier.estimate_cost(query, candidates[:2], account="acme") == 0.0
    for _ in range(50):
        await watched.score(TEXTS[:2])
    assert watched.model.cost.seconds(1) == rate


async def test_with_no_room_everything_is_computed_anew(tiny_cross_encoder: Path) -> None:
    for caches in (None, Caches(100)):
        watched = Watched(tiny_cross_encoder, caches)
        first, again = await watched.score(TEXTS), await watched.score(TEXTS)
        assert (again.usage.cached, again.usage.tokens) == (0, first.usage.tokens)


async def test_the_vectors_of_a_query_are_remembered(tiny_multi_vector: Path, caches: Caches) -> None:
    model = MultiVectorModel(str(tiny_multi_vector), device="cpu", cache=caches)
    tier = LateInteractionReranker("late", model)
    query = Query("how is water boiled")
    await tier.score(query, candidates_of(TEXTS[:1]), budget=ACME)
    more = await tier.score(query, candidates_of(TEXTS[1:3]), budget=ACME)
    anew = await tier.score(query, candidates_of(TEXTS[1:3]), budget=ZENITH)
    assert more.values == pytest.approx(anew.values, abs=1e-6)
    assert (more.usage.cached, anew.usage.cached) == (1, 0)
    assert more.usage.tokens == anew.usage.tokens - 6  # four words, [CLS] and [SEP]


async def test_an_encoder_remembers_queries(caches: Caches) -> None:
    encoder = Encoder("embedded:all-minilm-l6-v2", device="cpu", cache=caches)
    first, used = await encoder.encode_query("how do I bake a loaf", budget=ACME)
    again, free = await encoder.encode_query("how do I bake a loaf", budget=ACME)
    other, paid = await encoder.encode_query("how do I bake a loaf", budget=ZENITH)
    assert (again == first).all()
    assert other == pytest.approx(first, abs=1e-6)
    assert (used.cached, free.cached, paid.cached) == (0, 1, 0)
    assert used.tokens == paid.tokens > free.tokens == 0


class Kept:
    """Token ids of some documents."""

    def __init__(self, tokenizer: str, ids: Mapping[str, TokenisedText]) -> None:
        self.tokenizer = tokenizer
        self.asked: list[str] = []
        self._ids = ids

    def fetch(self, doc_ids: Sequence[str]) -> Mapping[str, TokenisedText]:
        self.asked.extend(doc_ids)
        return {doc_id: self._ids[doc_id] for doc_id in doc_ids if doc_id in self._ids}


WORDS = st.lists(st.sampled_from(["water", "boils", "naïve", "##ing", "[SEP]", "\n", "x" * 120, "水"]), max_size=90)


@pytest.fixture(scope="module")
def tiers(tiny_cross_encoder: Path, tiny_multi_vector: Path) -> list[ReadsIds]:
    cross = CrossEncoderModel(str(tiny_cross_encoder), device="cpu")
    late = MultiVectorModel(str(tiny_multi_vector), device="cpu")
    return [CrossEncoderReranker("cross", cross, max_length=64), LateInteractionReranker("late", late)]


def _kept(tier: ReadsIds, candidates: Sequence[Candidate]) -> Kept:
    tokeniser = tier._model.tokeniser()
    assert tokeniser is not None, "it reads token ids"
    ids = tokeniser([c.text or "" for c in candidates])
    return Kept(tokeniser.fingerprint, dict(zip((c.doc_id for c in candidates), ids, strict=True)))


@given(st.lists(WORDS, min_size=1, max_size=4), WORDS)
@settings(max_examples=25)
async def test_scores_are_equal_with_the_token_ids_of_an_index_and_without(
    tiers: list[ReadsIds], texts: list[list[str]], query: list[str]
) -> None:
    candidates, asked = candidates_of([" ".join(words) for words in texts]), Query(" ".join(query))
    for tier in tiers:
        kept = _kept(tier, candidates)
        over = tier.over(Corpus({}, InlineDocuments([]), size=len(texts), token_ids=kept))
        read = await tier.score(asked, candidates, budget=Budget())
        found = await over.score(asked, candidates, budget=Budget())
        assert found.values == read.values
        assert (found.usage.truncations, found.usage.tokens) == (read.usage.truncations, read.usage.tokens)
        assert kept.asked == [c.doc_id for c in candidates]


async def test_ids_of_another_tokenizer_are_left_alone_and_a_document_without_any_is_read(
    tiers: list[ReadsIds],
) -> None:
    candidates = candidates_of(TEXTS)
    for tier in tiers:
        kept = _kept(tier, candidates_of(["nothing like it"] * 4))
        read = await tier.score(Query("q"), candidates, budget=Budget())
        for held in (Kept("another", kept.fetch(["d0"])), Kept(kept.tokenizer, {})):
            over = tier.over(Corpus({}, InlineDocuments([]), size=4, token_ids=held))
            assert (await over.score(Query("q"), candidates, budget=Budget())).values == read.values

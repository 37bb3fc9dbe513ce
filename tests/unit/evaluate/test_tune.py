"""Settings are simulated exactly as the engine runs them, chosen on one half and tested on the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from cascade.budget import Budget
from cascade.config import Blend, CrossEncoderConfig, Until, parse
from cascade.engine import Cascade
from cascade.errors import InvalidInputError
from cascade.evaluate.collection import Collection
from cascade.evaluate.tier_scores import TierScores
from cascade.evaluate.tune import Simulation, Trial, compare, halves, search, settings, tune
from cascade.fuse.rrf import RrfFuser
from cascade.stages import Corpus, Retrieval, Scores, Usage
from cascade.tier import Tier
from cascade.types import Candidate, Document, Query, Ranking

DEPTH = 40
TIER = CrossEncoderConfig(kind="cross_encoder", depth=DEPTH)
RECEIVED = Ranking.from_scores([(f"d{i:02}", 50.0 - i) for i in range(DEPTH)], "fuse")
QUERIES = 40


def values_of(query: int) -> tuple[float, ...]:
    random = np.random.default_rng(query)
    return tuple((np.linspace(3, 0, DEPTH) + random.normal(0, 0.8, DEPTH)).tolist())


def scores() -> dict[str, TierScores]:
    return {f"q{n}": TierScores(RECEIVED, values_of(n), 100 * DEPTH) for n in range(QUERIES)}


def collection() -> Collection:
    relevant = {f"q{n}": {RECEIVED.doc_ids[int(np.argmax(values_of(n)))]: 1} for n in range(QUERIES)}
    documents = tuple(Document(d, "the same text") for d in RECEIVED.doc_ids)
    return Collection("tiny", "test", documents, dict.fromkeys(relevant, "question"), relevant, {})


def simulation(tier: CrossEncoderConfig = TIER, queries: int = QUERIES) -> Simulation:
    return Simulation(tier, collection(), dict(list(scores().items())[:queries]))


class Known:
    """A retriever that finds the order received, and a reranker that knows the scores."""

    def __init__(self, query: int) -> None:
        self.by_doc = dict(zip(RECEIVED.doc_ids, values_of(query), strict=True))

    async def retrieve(self, query: Query, *, depth: int, budget: Budget) -> Retrieval:
        return Retrieval(Ranking.from_scores([(c.doc_id, c.score) for c in RECEIVED], "bm25"))

    async def fetch(self, doc_ids: Sequence[str]) -> Mapping[str, Document]:
        return {d: Document(d, d) for d in doc_ids}

    async def score(self, query: Query, candidates: Sequence[Candidate], *, budget: Budget) -> Scores:
        return Scores(tuple(self.by_doc[c.doc_id] for c in candidates), Usage(tokens=100 * len(candidates)))


@pytest.mark.parametrize("method", [None, "rrf", "z_score", "min_max"])
@pytest.mark.parametrize("depth", [DEPTH, 33])
async def test_a_simulated_tier_reads_and_ranks_as_the_engine_does(method: str | None, depth: int) -> None:
    blend = None if method is None else Blend.model_validate({"method": method, "weight": 0.5})
    until = Until(stable_top=2, confidence=0.6, first=10, step=5)
    tier = TIER.model_copy(update={"blend": blend, "until": until, "depth": depth})
    # What the tier receives is the fused order, so that the fuser must hand on the retriever's scores' order.
    fused = RrfFuser().fuse({"bm25": Ranking.from_scores([(c.doc_id, c.score) for c in RECEIVED], "bm25")})
    known = {q: TierScores(fused, s.values, s.tokens) for q, s in scores().items()}
    trial = Simulation(tier, collection(), known).trial(tier)
    config = parse("retrieve: [{kind: bm25}]", "test").model_copy(update={"tiers": (tier,)})
    for number in range(8):
        stage = Known(number)
        made = Cascade("test", config, RrfFuser(), [Tier(tier, stage)])
        answer = await made.rank(Query("q"), Corpus({"bm25": stage}, stage, size=DEPTH), top_k=DEPTH, budget=Budget())
        assert trial.tokens[number] == pytest.approx(100 * answer.trace[-1].scored)
        best = next(iter(collection().qrels[f"q{number}"]))
        rank = answer.ranking.doc_ids.index(best) + 1
        assert trial.gain[number] == pytest.approx(1 / np.log2(1 + rank) if rank <= 10 else 0.0)


def test_full_depth_reads_everything_and_a_fixed_depth_its_share() -> None:
    made = simulation()
    assert made.trial(TIER).tokens.tolist() == pytest.approx([100.0 * DEPTH] * QUERIES)
    assert made.trial(TIER.model_copy(update={"depth": 10})).tokens.tolist() == pytest.approx([1000.0] * QUERIES)
    assert made.trial(TIER).gain.tolist() == [1.0] * QUERIES


def test_queries_that_were_not_scored_to_the_end_are_left_out() -> None:
    partly = scores() | {"q0": TierScores(RECEIVED, values_of(0)[:5], 500)}
    assert "q0" not in Simulation(TIER, collection(), partly).query_ids


def test_the_prior_is_learnt_from_the_scores() -> None:
    prior = simulation().prior()
    assert prior is not None
    assert 0.5 < prior.sigma < 1.0
    assert prior.mean[1] > 0.3
    assert Simulation(TIER, collection(), {}).prior() is None


def test_the_search_finds_fewer_tokens_at_no_loss() -> None:
    tuned = search(simulation(), TIER, margin=0.2, seed=0)
    assert tuned.chosen is not None
    assert tuned.chosen.tokens < 0.8 * 100 * DEPTH
    assert tuned.chosen.difference.low > -0.2
    assert len(set(tuned.chosen_by) & set(tuned.confirmed_by)) == 0
    by_half = [float(step.trial.of(tuned.chosen_by).tokens.mean()) for step in tuned.steps]
    assert by_half == sorted(by_half, reverse=True)
    assert tuned.chosen.tokens == min(step.tokens for step in tuned.steps if step.passed)


def test_of_a_tier_that_blends_another_blend_may_be_chosen() -> None:
    blended = TIER.model_copy(update={"blend": Blend(method="rrf", weight=0.1)})
    tuned = search(simulation(blended, 12), blended, margin=0.05, seed=0)
    assert tuned.chosen is not None
    assert tuned.chosen.trial.tier.blend is not None
    assert tuned.chosen.trial.gain.mean() > tuned.full.gain.mean()


def trial(tokens: float, losses: Mapping[int, float], count: int = 400) -> Trial:
    gain = np.ones(count)
    for place, loss in losses.items():
        gain[place] -= loss
    return Trial(TIER, gain, np.full(count, tokens))


def test_the_way_ends_where_a_setting_fails_on_the_other_half() -> None:
    choosing, confirming = halves(400, 0)
    safe = trial(60, {int(choosing[0]): 0.1})
    lucky = trial(40, {int(choosing[0]): 0.2} | {int(place): 1.0 for place in confirming[:40]})
    beyond = trial(20, {int(choosing[0]): 0.3})
    found = tune([safe, lucky, beyond], trial(100, {}), margin=0.003, seed=0)
    assert [step.passed for step in found.steps] == [True, False]
    assert found.chosen is not None
    assert found.chosen.trial is safe


def test_what_saves_nothing_or_loses_too_much_is_not_on_the_way() -> None:
    dear, bad = trial(100, {}), trial(10, dict.fromkeys(range(400), 0.5))
    assert tune([dear, bad], trial(100, {}), margin=0.003, seed=0).chosen is None


def test_a_difference_is_paired_and_its_bound_one_sided() -> None:
    gain, full = np.random.default_rng(0).random(500), np.random.default_rng(0).random(500)
    same = compare(gain, full, margin=0.01, seed=0)
    assert (same.mean, same.low, same.changed) == (0.0, 0.0, 0)
    assert same.p < 0.001
    worse = compare(gain - 0.05, full, margin=0.01, seed=0)
    assert (worse.p, worse.changed) == (1.0, 500)
    assert worse.low == pytest.approx(-0.05)


def test_every_setting_keeps_within_the_tiers_depth() -> None:
    shallow = TIER.model_copy(update={"depth": 15})
    tried = list(settings(shallow, None, [None]))
    assert {t.depth for t in tried if t.until is None} == {10}
    assert all(t.until is None or t.until.first < 15 for t in tried)


def test_too_few_queries_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="found 0 queries"):
        search(Simulation(TIER, collection(), {}), TIER, margin=0.003, seed=0)

"""A busy server's cheaper plan: tiers see fewer candidates, or none, and their traces say so."""

from collections.abc import Sequence

from cascade.answer import Answer
from cascade.budget import Account, Budget, Priority
from cascade.config import parse
from cascade.engine import Cascade
from cascade.fuse.rrf import RrfFuser
from cascade.stages import Corpus, Retrieval, Scores
from cascade.tier import Tier
from cascade.trace import Reason, StageStatus
from cascade.types import Candidate, Document, Query, Ranking

CASCADE = """
retrieve: [{kind: bm25}]
tiers:
  - {kind: identity, name: first, depth: 4}
  - {kind: identity, name: second, depth: 2}
"""


class InOrder:
    """Finds a, b, c, d, e in this order."""

    async def retrieve(self, query: Query, *, depth: int, budget: Budget) -> Retrieval:
        return Retrieval(Ranking.from_scores([(d, -float(i)) for i, d in enumerate("abcde")], "bm25"))

    async def fetch(self, doc_ids: Sequence[str]) -> dict[str, Document]:
        return {d: Document(d, d) for d in doc_ids}


class Reverse:
    """Turns the order round."""

    async def score(self, query: Query, candidates: Sequence[Candidate], *, budget: Budget) -> Scores:
        return Scores(tuple(float(c.rank) for c in candidates))


async def rank(depths: dict[str, int] | None) -> Answer:
    config = parse(CASCADE, "test")
    tiers = [Tier(tier, Reverse()) for tier in config.tiers]
    corpus = Corpus({"bm25": InOrder()}, InOrder(), 5)
    made = Cascade("test", config, RrfFuser("fuse", rrf_k=60), tiers)
    return await made.rank(Query("q"), corpus, top_k=5, budget=Budget(), depths=depths)


async def test_without_a_cheaper_plan_every_tier_completes() -> None:
    answer = await rank(None)
    assert answer.ranking.doc_ids == ["c", "d", "b", "a", "e"]
    assert not answer.degraded


async def test_a_tier_with_less_depth_reranks_fewer_and_says_how_many_it_left() -> None:
    answer = await rank({"first": 3})
    first = answer.trace[2]
    assert answer.ranking.doc_ids == ["b", "c", "a", "d", "e"]
    assert (first.status, first.reason, first.candidates_in) == (StageStatus.REDUCED, Reason.OVERLOADED, 3)
    assert "3 of 4" in first.detail
    assert answer.degraded


async def test_a_tier_with_no_depth_is_skipped_as_overloaded_and_the_next_one_runs() -> None:
    answer = await rank({"first": 0})
    _, _, first, second = answer.trace
    assert (first.status, first.reason) == (StageStatus.SKIPPED, Reason.OVERLOADED)
    assert second.status is StageStatus.COMPLETED
    assert answer.ranking.doc_ids == ["b", "a", "c", "d", "e"]


async def test_a_plan_with_room_for_all_changes_nothing() -> None:
    assert (await rank({"first": 100, "second": 100})).ranking == (await rank(None)).ranking


def test_a_share_of_a_budget_is_on_the_same_account() -> None:
    account = Account("acme", 2.0, Priority.LOW)
    whole = Budget.of(10.0, account=account)
    assert whole.at_most(1).account == account
    assert whole.share(0.5).account == account

"""The engine runs a cascade, degrades visibly and accounts for every stage."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from cascade.answer import Answer, Update
from cascade.budget import Budget
from cascade.config import parse
from cascade.engine import Cascade
from cascade.errors import BudgetExceededError, InvalidInputError, NotFoundError, OverloadedError, StageError
from cascade.fuse.rrf import RrfFuser
from cascade.stages import Corpus, Reranker, Retrieval, Retriever, Scores, Usage
from cascade.tier import Tier
from cascade.trace import Reason, StageStatus
from cascade.types import Candidate, Document, Query, Ranking, Truncation

DOCUMENTS = {d: Document(d, f"text of {d}") for d in "abcdef"}
TWO_TIERS = """
retrieve: [{kind: bm25}, {kind: dense}]
tiers:
  - {kind: identity, name: first, depth: 4}
  - {kind: identity, name: second, depth: 2}
"""


class Fixed:
    """Finds the same documents for every query."""

    def __init__(self, doc_ids: str, usage: Usage | None = None) -> None:
        self.doc_ids = doc_ids
        self.usage = usage or Usage()

    async def retrieve(self, query: Query, *, depth: int, budget: Budget) -> Retrieval:
        found = Ranking.from_scores([(d, -float(i)) for i, d in enumerate(self.doc_ids)], "fixed")
        return Retrieval(found, self.usage)


class Raising:
    """Raises on every call, as retriever and as reranker."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def retrieve(self, query: Query, *, depth: int, budget: Budget) -> Retrieval:
        raise self.error

    async def score(self, query: Query, candidates: Sequence[Candidate], *, budget: Budget) -> Scores:
        raise self.error


class Stuck:
    """Never answers, and remembers that it was cancelled."""

    cancelled = False

    async def _wait(self) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise

    async def retrieve(self, query: Query, *, depth: int, budget: Budget) -> Retrieval:
        await self._wait()
        raise AssertionError

    async def score(self, query: Query, candidates: Sequence[Candidate], *, budget: Budget) -> Scores:
        await self._wait()
        raise AssertionError


class Reverse:
    """Turns the order round, and remembers what it saw."""

    def __init__(self, usage: Usage | None = None) -> None:
        self.usage = usage or Usage()
        self.saw: list[list[str]] = []
        self.texts: list[str | None] = []

    async def score(self, query: Query, candidates: Sequence[Candidate], *, budget: Budget) -> Scores:
        self.saw.append([c.doc_id for c in candidates])
        self.texts = [c.text for c in candidates]
        return Scores(tuple(float(c.rank) for c in candidates), self.usage)


class Costly(Reverse):
    """Expects to take an hour."""

    def estimate_cost(self, query: Query, candidates: Sequence[Candidate], *, account: str = "") -> float:
        return 3600.0


class Giving:
    """Answers with whatever scores it was made with."""

    def __init__(self, *values: float) -> None:
        self.values = values

    async def score(self, query: Query, candidates: Sequence[Candidate], *, budget: Budget) -> Scores:
        return Scores(self.values)


class Store:
    """Documents in memory that counts what is fetched."""

    def __init__(self) -> None:
        self.fetched: list[str] = []

    async def fetch(self, doc_ids: Sequence[str]) -> Mapping[str, Document]:
        self.fetched.extend(doc_ids)
        return {d: DOCUMENTS[d] for d in doc_ids}


def cascade(text: str, *rerankers: Reranker) -> Cascade:
    config = parse(text, "test.yaml")
    tiers = [Tier(tier, reranker) for tier, reranker in zip(config.tiers, rerankers, strict=True)]
    return Cascade("test", config, RrfFuser(), tiers)


def corpus(bm25: Retriever, dense: Retriever | None = None, store: Store | None = None) -> Corpus:
    return Corpus({"bm25": bm25, "dense": dense or bm25}, store or Store(), size=len(DOCUMENTS), version="7")


async def rank(
    made: Cascade, over: Corpus, *, seconds: float | None = None, tier_seconds: float | None = None
) -> Answer:
    return await made.rank(Query("q"), over, top_k=10, budget=Budget.of(seconds), tier_seconds=tier_seconds)


def statuses(answer: Answer) -> dict[str, StageStatus]:
    return {t.stage: t.status for t in answer.trace}


async def test_each_tier_reranks_the_head_and_leaves_the_rest_below_it() -> None:
    first, second = Reverse(), Reverse()
    answer = await rank(cascade(TWO_TIERS, first, second), corpus(Fixed("abcdef")))
    assert first.saw == [["a", "b", "c", "d"]]
    assert second.saw == [["d", "c"]]
    assert answer.ranking.doc_ids == ["c", "d", "b", "a", "e", "f"]
    assert [c.scored_by for c in answer.ranking] == ["second", "second", "first", "first", "fuse", "fuse"]
    assert not answer.degraded


async def test_every_stage_accounts_for_what_it_saw_and_passed_on() -> None:
    answer = await rank(cascade(TWO_TIERS, Reverse(), Reverse()), corpus(Fixed("abc"), Fixed("cde")))
    account = [(t.stage, t.kind, t.candidates_in, t.candidates_out) for t in answer.trace]
    assert sorted(account[:2]) == [("bm25", "bm25", 6, 3), ("dense", "dense", 6, 3)]
    assert account[2:] == [("fuse", "rrf", 5, 5), ("first", "identity", 4, 4), ("second", "identity", 2, 2)]


async def test_what_a_tier_used_is_in_its_trace() -> None:
    cut = Truncation("a", "first", 10, 20)
    answer = await rank(cascade(TWO_TIERS, Reverse(Usage(0.5, 77, (cut,))), Reverse()), corpus(Fixed("abc")))
    first = next(t for t in answer.trace if t.stage == "first")
    assert (first.queue_time, first.tokens, first.truncated) == (0.5, 77, 1)
    assert answer.truncations == (cut,)


async def test_what_a_retriever_cut_is_told() -> None:
    cut = Truncation("a", "dense", 10, 20)
    answer = await rank(
        cascade("retrieve: [{kind: dense}]"), corpus(Fixed("ab"), Fixed("ab", Usage(truncations=(cut,))))
    )
    assert answer.trace[0].truncated == 1
    assert answer.truncations == (cut,)


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (ZeroDivisionError("inside"), StageStatus.FAILED, Reason.ERROR),
        (TimeoutError(), StageStatus.TIMED_OUT, Reason.OVERRAN),
        (OverloadedError("the queue", 1.0), StageStatus.SKIPPED, Reason.OVERLOADED),
    ],
)
async def test_a_tier_that_does_not_complete_leaves_the_ranking_as_it_stood_and_says_why(
    error: Exception, status: StageStatus, reason: Reason
) -> None:
    answer = await rank(cascade(TWO_TIERS, Raising(error), Reverse()), corpus(Fixed("abcdef")))
    assert answer.ranking.doc_ids == ["b", "a", "c", "d", "e", "f"]
    first = next(t for t in answer.trace if t.stage == "first")
    assert (first.status, first.reason) == (status, reason)
    assert first.detail
    assert answer.degraded


async def test_a_tier_that_overruns_is_cancelled_and_timed_out() -> None:
    stuck = Stuck()
    text = TWO_TIERS.replace("name: first,", "name: first, max_time_ms: 20,")
    answer = await rank(cascade(text, stuck, Reverse()), corpus(Fixed("abc")))
    assert statuses(answer)["first"] is StageStatus.TIMED_OUT
    assert statuses(answer)["second"] is StageStatus.COMPLETED
    assert stuck.cancelled


async def test_a_tier_that_cannot_be_afforded_is_skipped_with_its_figures() -> None:
    costly = Costly()
    answer = await rank(cascade(TWO_TIERS, costly, Reverse()), corpus(Fixed("abc")), tier_seconds=5.0)
    first = next(t for t in answer.trace if t.stage == "first")
    assert (first.status, first.reason) == (StageStatus.SKIPPED, Reason.TOO_COSTLY)
    assert "3600000.0 ms" in first.detail
    assert costly.saw == []


async def test_without_time_for_tiers_the_fused_ranking_is_the_answer_and_the_tiers_are_named() -> None:
    answer = await rank(cascade(TWO_TIERS, Reverse(), Reverse()), corpus(Fixed("abc")), tier_seconds=0.0)
    assert answer.ranking.doc_ids == ["a", "b", "c"]
    assert answer.degraded
    skipped = {t.stage: t.reason for t in answer.trace if t.status is StageStatus.SKIPPED}
    assert skipped == {"first": Reason.NO_TIME, "second": Reason.NO_TIME}


async def test_a_tier_without_time_costs_no_text() -> None:
    store = Store()
    text = "retrieve: [{kind: bm25}]\ntiers: [{kind: cross_encoder, depth: 2}]"
    await rank(cascade(text, Reverse()), corpus(Fixed("abc"), store=store), tier_seconds=0.0)
    assert store.fetched == []


async def test_the_cascades_own_budget_bounds_its_tiers() -> None:
    answer = await rank(cascade(TWO_TIERS + "budget_ms: 30\n", Stuck(), Reverse()), corpus(Fixed("abc")))
    assert statuses(answer)["first"] is StageStatus.TIMED_OUT
    assert statuses(answer)["second"] is StageStatus.SKIPPED


@pytest.mark.parametrize("values", [(1.0,), (1.0, float("nan"), 0.0)])
async def test_a_tier_that_breaks_its_promise_has_failed(values: tuple[float, ...]) -> None:
    answer = await rank(cascade(TWO_TIERS, Giving(*values), Reverse()), corpus(Fixed("abc")))
    assert statuses(answer)["first"] is StageStatus.FAILED
    assert answer.ranking.doc_ids == ["b", "a", "c"]


async def test_text_is_fetched_once_for_the_head_of_the_first_tier_that_reads_it() -> None:
    store, first, second = Store(), Reverse(), Reverse()
    text = """
    retrieve: [{kind: bm25}]
    tiers:
      - {kind: identity, name: narrow, depth: 4}
      - {kind: cross_encoder, depth: 3}
      - {kind: joint, depth: 2}
    """
    await rank(cascade(text, first, second, Reverse()), corpus(Fixed("abcdef"), store=store))
    assert first.texts == [None, None, None, None]
    assert second.texts == ["text of d", "text of c", "text of b"]
    assert sorted(store.fetched) == ["b", "c", "d"]


async def test_a_blend_fuses_the_tiers_order_with_the_order_it_received() -> None:
    text = "retrieve: [{kind: bm25}]\ntiers: [{kind: identity, depth: 3, blend: {weight: %s}}]"
    mostly_received = await rank(cascade(text % 0.1, Reverse()), corpus(Fixed("abc")))
    mostly_tier = await rank(cascade(text % 0.9, Reverse()), corpus(Fixed("abc")))
    assert mostly_received.ranking.doc_ids == ["a", "b", "c"]
    assert mostly_tier.ranking.doc_ids == ["c", "b", "a"]


async def test_one_retriever_that_fails_degrades_and_the_other_answers() -> None:
    answer = await rank(cascade(TWO_TIERS, Reverse(), Reverse()), corpus(Raising(OSError("disk")), Fixed("abc")))
    assert len(answer.ranking) == 3
    assert statuses(answer)["bm25"] is StageStatus.FAILED
    assert answer.degraded


async def test_one_retriever_that_overruns_the_deadline_degrades_and_the_other_answers() -> None:
    answer = await rank(cascade(TWO_TIERS, Reverse(), Reverse()), corpus(Stuck(), Fixed("abc")), seconds=0.05)
    assert statuses(answer)["bm25"] is StageStatus.TIMED_OUT
    assert len(answer.ranking) == 3


async def test_when_every_retriever_fails_the_error_names_the_cause() -> None:
    made = cascade(TWO_TIERS, Reverse(), Reverse())
    with pytest.raises(StageError, match="OSError: disk"):
        await rank(made, corpus(Raising(OSError("disk")), Stuck()), seconds=0.05)
    with pytest.raises(NotFoundError):
        await rank(made, corpus(Raising(OSError("disk")), Raising(NotFoundError("model", "m"))))
    with pytest.raises(BudgetExceededError):
        await rank(made, corpus(Stuck()), seconds=0.05)


async def test_a_lone_retriever_that_fails_is_named_with_its_cause() -> None:
    made = cascade("retrieve: [{kind: bm25}]")
    with pytest.raises(StageError, match="OSError: disk"):
        await rank(made, corpus(Raising(OSError("disk"))))
    with pytest.raises(BudgetExceededError):
        await rank(made, corpus(Stuck()), seconds=0.05)


async def test_an_empty_retrieval_is_an_answer_and_not_degraded() -> None:
    answer = await rank(cascade(TWO_TIERS, Reverse(), Reverse()), corpus(Fixed("")))
    assert len(answer.ranking) == 0
    assert not answer.degraded


async def test_the_stream_has_one_update_per_stage_and_its_last_equals_the_answer() -> None:
    made, over = cascade(TWO_TIERS, Reverse(), Reverse()), corpus(Fixed("abcdef"))
    updates: list[Update] = [u async for u in made.stream(Query("q"), over, top_k=3, budget=Budget())]
    assert sorted(u.stage for u in updates[:2]) == ["bm25", "dense"]
    assert [u.stage for u in updates[2:]] == ["fuse", "first", "second"]
    assert [u.final for u in updates] == [False] * 4 + [True]
    assert [len(u.answer.trace) for u in updates] == [1, 2, 3, 4, 5]
    whole = await made.rank(Query("q"), over, top_k=3, budget=Budget())
    assert updates[-1].answer.ranking == whole.ranking


async def test_of_a_whole_corpus_no_document_is_cut_away() -> None:
    made = cascade("retrieve: [{kind: bm25, depth: 2}]\nfuse: {kind: rrf, depth: 2}")
    over = corpus(Fixed("abcdef"))
    assert len((await rank(made, over)).ranking) == 2
    assert len((await rank(made, replace(over, whole=True))).ranking) == 6


@pytest.mark.parametrize("where", ["a tier", "the only retriever", "one of two retrievers"])
async def test_a_cancelled_request_cancels_what_runs_for_it(where: str) -> None:
    stuck = Stuck()
    match where:
        case "a tier":
            asking = rank(cascade(TWO_TIERS, stuck, Reverse()), corpus(Fixed("abc")))
        case "the only retriever":
            asking = rank(cascade("retrieve: [{kind: bm25}]"), corpus(stuck))
        case _:
            asking = rank(cascade(TWO_TIERS, Reverse(), Reverse()), corpus(Fixed("abc"), stuck))
    task = asyncio.create_task(asking)
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    assert stuck.cancelled


async def test_documents_come_with_the_head_when_asked_for() -> None:
    store = Store()
    made = cascade("retrieve: [{kind: bm25}]")
    over = corpus(Fixed("abcdef"), store=store)
    answer = await made.rank(Query("q"), over, top_k=2, budget=Budget(), with_documents=True)
    assert set(answer.documents) == {"a", "b"}
    assert sorted(set(store.fetched)) == ["a", "b"]


async def test_the_text_of_rankings_that_nobody_sees_is_not_fetched() -> None:
    made, store = cascade(TWO_TIERS, Reverse(), Reverse()), Store()
    over = corpus(Fixed("abc"), Fixed("fbc"), store=store)
    answer = await made.rank(Query("q"), over, top_k=1, budget=Budget(), tier_seconds=0.0, with_documents=True)
    assert store.fetched == list(answer.documents) == answer.ranking.doc_ids == ["b"]


class Known:
    """Gives each document a score that it was made with, slowly from the third call on."""

    def __init__(self, scores: Mapping[str, float], slow_from: int = 99) -> None:
        self.scores = scores
        self.calls: list[list[str]] = []
        self.slow_from = slow_from

    async def score(self, query: Query, candidates: Sequence[Candidate], *, budget: Budget) -> Scores:
        self.calls.append([c.doc_id for c in candidates])
        if len(self.calls) >= self.slow_from:
            await asyncio.Event().wait()
        return Scores(tuple(self.scores[c.doc_id] for c in candidates), Usage(tokens=len(candidates)))

    def estimate_cost(self, query: Query, candidates: Sequence[Candidate], *, account: str = "") -> float:
        return 0.03 * len(candidates)


class Fetching:
    """Has a text for whatever is asked."""

    async def fetch(self, doc_ids: Sequence[str]) -> Mapping[str, Document]:
        return {d: Document(d, d) for d in doc_ids}


LETTERS = "abcdefghijklmnopqrst"
ADAPTIVE = """
retrieve: [{kind: bm25}]
tiers:
  - {kind: cross_encoder, depth: 18, until: {stable_top: 2, confidence: 0.9, first: 6, step: 4}%s}
"""


def adaptive(known: Known, more: str = "") -> Cascade:
    return cascade(ADAPTIVE % more, known)


@pytest.mark.parametrize("more", ["", ", blend: {method: z_score, weight: 0.6}"])
async def test_a_tier_stops_early_when_nothing_more_could_change_and_is_not_degraded(more: str) -> None:
    scores = {d: -float(ord(d)) for d in LETTERS} | {"a": -99.5}
    known = Known(scores)
    answer = await rank(adaptive(known, more), Corpus({"bm25": Fixed(LETTERS)}, Fetching(), size=20))
    read = "".join(d for call in known.calls for d in call)
    assert len(read) in (6, 10)
    assert LETTERS.startswith(read)
    assert "".join(answer.ranking.doc_ids) == "bcadefghij"
    tier = answer.trace[-1]
    assert (tier.status, tier.candidates_in, tier.scored, tier.tokens) == (
        StageStatus.COMPLETED,
        18,
        len(read),
        len(read),
    )
    assert not answer.degraded
    assert len(answer.stages["cross_encoder"]) == len(read)


async def test_a_tier_that_runs_out_of_time_between_chunks_keeps_what_it_scored_and_says_so() -> None:
    known = Known({d: float(ord(d)) for d in LETTERS}, slow_from=3)
    over = Corpus({"bm25": Fixed(LETTERS)}, Fetching(), size=20)
    answer = await rank(adaptive(known), over, tier_seconds=0.25)
    assert answer.ranking.doc_ids[:4] == ["j", "i", "h", "g"]
    tier = answer.trace[-1]
    assert (tier.status, tier.reason, tier.scored, tier.tokens) == (StageStatus.TIMED_OUT, Reason.OVERRAN, 10, 10)
    assert "10 of 18 candidates" in tier.detail


async def test_a_tier_that_may_stop_early_is_tried_when_its_first_chunk_fits() -> None:
    over = Corpus({"bm25": Fixed(LETTERS)}, Fetching(), size=20)
    answer = await rank(adaptive(Known(dict.fromkeys(LETTERS, 1.0))), over, tier_seconds=0.1)
    assert answer.trace[-1].reason is Reason.TOO_COSTLY
    answer = await rank(adaptive(Known(dict.fromkeys(LETTERS, 1.0))), over, tier_seconds=0.3)
    assert answer.trace[-1].scored > 0


CALIBRATED = """
retrieve: [{kind: bm25}]
tiers:
  - {kind: cross_encoder, depth: 4, calibration: {method: platt, a: 1.0, b: 0.0}}
  - {kind: identity, name: last, depth: 2}
"""


async def likely(made: Cascade, least: float | None, tier_seconds: float | None = None) -> Answer:
    over = Corpus({"bm25": Fixed("abcdef")}, Fetching(), size=6)
    return await made.rank(
        Query("q"), over, top_k=10, budget=Budget(), tier_seconds=tier_seconds, min_probability=least
    )


def calibrated() -> Cascade:
    return cascade(CALIBRATED, Known({"a": -1.0, "b": 2.0, "c": 0.0, "d": -3.0}), Reverse())


async def test_a_calibrated_tier_gives_probabilities_and_a_later_tier_keeps_them() -> None:
    ranking = (await likely(calibrated(), None)).ranking
    assert ranking.doc_ids == ["c", "b", "a", "d", "e", "f"]
    known = [c.probability for c in ranking]
    assert known[:4] == pytest.approx([0.5, 0.881, 0.269, 0.047], abs=0.001)
    assert known[4:] == [None, None]


async def test_results_below_the_least_probability_or_without_one_are_left_out_and_ranks_close_up() -> None:
    answer = await likely(calibrated(), 0.3)
    assert [(c.doc_id, c.rank) for c in answer.ranking] == [("c", 1), ("b", 2)]
    assert len((await likely(calibrated(), 1.0)).ranking) == 0
    assert not answer.degraded


async def test_when_the_calibrated_tier_did_not_complete_nothing_is_left_out() -> None:
    answer = await likely(calibrated(), 0.9, tier_seconds=0.0)
    assert len(answer.ranking) == 6
    assert answer.degraded


async def test_a_least_probability_needs_a_calibrated_tier() -> None:
    with pytest.raises(InvalidInputError, match="cascade calibrate"):
        await likely(cascade(TWO_TIERS, Reverse(), Reverse()), 0.5)

"""A tier may stop when nothing unread is likely to change the top."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from cascade.adaptive import completed, ends, score_until, stable
from cascade.blend import blended, parts
from cascade.config import Blend, Until
from cascade.errors import StageError
from cascade.stages import Scores, Usage
from cascade.types import Candidate, Ranking, Truncation

HEAD = Ranking.from_scores([(f"d{i:02}", 100.0 - i) for i in range(60)], "fuse")
UNTIL = Until(stable_top=3, confidence=0.9, first=10, step=10)
BLENDS = [None, *(Blend.model_validate({"method": m, "weight": 0.4}) for m in ("rrf", "z_score", "min_max"))]


class Telling:
    """Scores candidates by what it was told of each place in the head, and keeps the chunks that it was given."""

    def __init__(self, values: Sequence[float], until_chunk: int | None = None) -> None:
        self.values = values
        self.chunks: list[list[str]] = []
        self.most = until_chunk

    async def __call__(self, candidates: Sequence[Candidate]) -> Scores:
        if self.most is not None and len(self.chunks) == self.most:
            raise TimeoutError
        self.chunks.append([c.doc_id for c in candidates])
        cut = Truncation(candidates[0].doc_id, "t", 1, 2)
        return Scores(tuple(self.values[c.rank - 1] for c in candidates), Usage(0.5, 7, (cut,)))


def falling() -> list[float]:
    """Scores that agree with the order received, but for some noise."""
    noise = np.random.default_rng(3).normal(0, 0.1, 60)
    return [10.0 - i / 6 + float(noise[i]) for i in range(60)]


def test_chunks_end_at_the_first_then_step_by_step_and_with_the_head() -> None:
    assert list(ends(35, UNTIL)) == [10, 20, 30, 35]
    assert list(ends(30, UNTIL)) == [10, 20, 30]
    assert list(ends(7, UNTIL)) == [7]
    assert list(ends(0, UNTIL)) == []


async def test_a_tier_that_agrees_with_the_order_received_ends_the_tier_after_its_first_chunk() -> None:
    telling = Telling(falling())
    scores = await score_until("t", UNTIL, None, HEAD, telling)
    assert scores.values == tuple(falling()[:10])
    assert [len(chunk) for chunk in telling.chunks] == [10]


async def test_an_open_top_is_read_to_the_end_in_the_order_received() -> None:
    telling = Telling([float(np.sin(i * 7.3)) for i in range(60)])
    scores = await score_until("t", UNTIL, None, HEAD, telling)
    assert len(scores.values) == 60
    assert [d for chunk in telling.chunks for d in chunk] == HEAD.doc_ids


async def test_what_every_chunk_used_is_added_up() -> None:
    usage = (await score_until("t", UNTIL, None, HEAD, Telling([1.0] * 60))).usage
    assert (usage.queue_time, usage.tokens, len(usage.truncations), usage.incomplete) == (3.0, 42, 6, "")


async def test_when_time_runs_out_what_was_scored_is_used_and_told() -> None:
    scores = await score_until("t", UNTIL, None, HEAD, Telling([1.0] * 60, until_chunk=2))
    assert len(scores.values) == 20
    assert "20 of 60 candidates" in scores.usage.incomplete
    with pytest.raises(TimeoutError):
        await score_until("t", UNTIL, None, HEAD, Telling([1.0] * 60, until_chunk=0))


async def test_a_chunk_with_wrong_scores_fails_the_tier() -> None:
    async def short(candidates: Sequence[Candidate]) -> Scores:
        return Scores((1.0,))

    with pytest.raises(StageError, match="1 scores for 10 candidates"):
        await score_until("t", UNTIL, None, HEAD, short)
    with pytest.raises(ValueError, match="finite"):
        await score_until("t", UNTIL, None, HEAD, Telling([float("nan")] * 60))


def test_fewer_scores_than_the_top_holds_are_never_enough_and_all_of_them_always_are() -> None:
    assert not stable(UNTIL, None, HEAD, [9.0, 8.0])
    assert stable(UNTIL, None, HEAD, [0.0] * 60)


@pytest.mark.parametrize("blend", BLENDS)
def test_who_asks_for_more_confidence_reads_no_less(blend: Blend | None) -> None:
    random = np.random.default_rng(1)
    for _ in range(20):
        values = (np.linspace(2, 0, 60) + random.normal(0, 1, 60)).tolist()
        depths = []
        for confidence in (0.05, 0.5, 0.9, 0.999):
            asked = UNTIL.model_copy(update={"confidence": confidence})
            depths.append(next(e for e in ends(60, asked) if stable(asked, blend, HEAD, values[:e])))
        assert depths == sorted(depths)


@pytest.mark.parametrize("blend", BLENDS)
def test_where_scores_are_as_assumed_the_top_changes_no_more_often_than_allowed(blend: Blend | None) -> None:
    random = np.random.default_rng(5)
    stopped = changed = 0
    for _ in range(150):
        values = (np.linspace(3, 0, 60) + random.normal(0, 0.6, 60)).tolist()
        for end in ends(60, UNTIL):
            if end < 60 and stable(UNTIL, blend, HEAD, values[:end]):
                stopped += 1
                unread = {HEAD.doc_ids[i] for i in range(end, 60)}
                changed += bool(unread.intersection(_order(blend, values).doc_ids[:3]))
                break
    assert stopped > 30
    assert changed <= 0.15 * stopped


@pytest.mark.parametrize("blend", BLENDS[1:])
def test_the_parts_of_a_blend_add_up_to_it(blend: Blend) -> None:
    values = np.random.default_rng(2).normal(size=60).tolist()
    received, own = parts(blend, HEAD, values)
    whole = {c.doc_id: c.score for c in _order(blend, values)}
    assert [a + b for a, b in zip(received, own, strict=True)] == pytest.approx([whole[d] for d in HEAD.doc_ids])


def test_what_was_not_read_is_completed_by_forecasts_and_what_was_is_kept() -> None:
    values = np.linspace(5, 4, 20).tolist()
    whole = completed(UNTIL, HEAD, values)
    assert list(whole[:20]) == values
    assert len(whole) == 60
    assert max(whole[20:]) < 4.2
    assert completed(None, HEAD, values) == tuple(values)


def _order(blend: Blend | None, values: Sequence[float]) -> Ranking:
    ranked = Ranking.from_scores(zip(HEAD.doc_ids, values, strict=True), "t")
    return ranked if blend is None else blended("t", blend, HEAD, ranked)

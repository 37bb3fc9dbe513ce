"""What a tier received and gave is read from an explained answer."""

from __future__ import annotations

import pytest

from cascade.config import parse
from cascade.errors import InvalidInputError, NotFoundError
from cascade.evaluate.tier_scores import ending_with, pointwise, scores_of
from cascade_client import Provenance, Ranked, Result, StageScore, StageStatus, StageTrace

CASCADE = """
retrieve: [{kind: bm25}]
tiers:
  - {kind: identity, name: narrow, depth: 3}
  - {kind: cross_encoder, depth: 3, max_time_ms: 5, until: {stable_top: 1, first: 2}}
  - {kind: joint, depth: 2}
budget_ms: 10
"""


def answer(cross: dict[str, float]) -> Ranked:
    """Fusion ranked a, b, c, d; the first tier b, a; the cross-encoder what it is given."""
    fused = {"a": 4.0, "b": 3.0, "c": 2.0, "d": 1.0}
    narrow = {"b": 1.0, "a": 0.5}
    order = sorted(cross, key=lambda d: -cross[d])
    results = []
    for rank, doc_id in enumerate(fused, start=1):
        stages = [StageScore("fuse", rank, fused[doc_id])]
        if doc_id in narrow:
            stages.append(StageScore("narrow", list(narrow).index(doc_id) + 1, narrow[doc_id]))
        if doc_id in cross:
            stages.append(StageScore("cross_encoder", order.index(doc_id) + 1, 0.1, cross[doc_id]))
        results.append(Result(doc_id, rank, 1.0, "x", stages=tuple(stages)))
    trace = StageTrace("cross_encoder", "cross_encoder", StageStatus.COMPLETED, tokens=77)
    return Ranked(tuple(results), (trace,), False, Provenance("c", "h", {}))


def test_a_tier_received_what_the_last_stage_to_rank_each_candidate_made() -> None:
    config = parse(CASCADE, "c")
    found = scores_of(answer({"b": 9.0, "a": 8.0, "c": 10.0}), ending_with(config, config.tiers[1]))
    assert found is not None
    assert [(c.doc_id, c.scored_by, c.score) for c in found.received] == [
        ("b", "narrow", 1.0),
        ("a", "narrow", 0.5),
        ("c", "fuse", 2.0),
    ]
    assert (found.values, found.tokens) == ((9.0, 8.0, 10.0), 77)


def test_scores_of_the_first_candidates_alone_are_scores_and_those_with_gaps_are_none() -> None:
    config = parse(CASCADE, "c")
    ending = ending_with(config, config.tiers[1])
    found = scores_of(answer({"b": 9.0, "a": 8.0}), ending)
    assert found is not None
    assert found.values == (9.0, 8.0)
    assert scores_of(answer({"a": 9.0, "c": 8.0}), ending) is None
    assert scores_of(answer({}), ending) is None


def test_a_cascade_that_ends_with_a_tier_has_nothing_after_it_and_cuts_nothing_off() -> None:
    config = parse(CASCADE, "c")
    ending = ending_with(config, config.tiers[1])
    assert [t.name for t in ending.tiers] == ["narrow", "cross_encoder"]
    assert ending.budget_ms is None
    assert all(t.max_time_ms is None for t in ending.tiers)


def test_the_tier_is_the_last_that_scores_by_itself_or_the_one_that_is_named() -> None:
    config = parse(CASCADE, "c")
    assert pointwise(config, None, "c").name == "cross_encoder"
    assert pointwise(config, "cross_encoder", "c").name == "cross_encoder"
    with pytest.raises(NotFoundError, match="cross_encoder"):
        pointwise(config, "other", "c")
    with pytest.raises(InvalidInputError, match="does not score each document by itself"):
        pointwise(config, "listwise", "c")
    with pytest.raises(InvalidInputError, match="no tier"):
        pointwise(parse("retrieve: [{kind: bm25}]", "c"), None, "c")

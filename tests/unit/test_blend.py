"""A tier's order and the order received, made one."""

from __future__ import annotations

import pytest

from cascade.blend import blended
from cascade.config import Blend
from cascade.types import Ranking

RECEIVED = Ranking.from_scores([("a", 3.0), ("b", 2.9), ("c", 0.0)], "fuse")
RANKED = Ranking.from_scores([("a", 0.1), ("b", 0.9), ("c", 0.2)], "cross_encoder")


@pytest.mark.parametrize("method", ["rrf", "z_score", "min_max"])
def test_a_blend_keeps_every_candidate_and_names_the_tier(method: str) -> None:
    order = blended("cross_encoder", Blend.model_validate({"method": method}), RECEIVED, RANKED)
    assert sorted(order.doc_ids) == ["a", "b", "c"]
    assert {c.scored_by for c in order} == {"cross_encoder"}


@pytest.mark.parametrize("method", ["z_score", "min_max"])
def test_scores_tell_a_near_tie_from_a_clear_lead_where_ranks_cannot(method: str) -> None:
    by_scores = blended("t", Blend.model_validate({"method": method, "weight": 0.3}), RECEIVED, RANKED)
    by_ranks = blended("t", Blend(weight=0.3), RECEIVED, RANKED)
    assert by_scores.doc_ids[0] == "b"
    assert by_ranks.doc_ids[0] == "a"


def test_scores_of_two_stages_are_not_added_but_their_ranks_are() -> None:
    mixed = RECEIVED.head(1).followed_by(Ranking.from_scores([("b", 1e9), ("c", 1e8)], "bm25"))
    order = blended("t", Blend(method="min_max", weight=0.1), mixed, RANKED)
    assert order.doc_ids == ["a", "b", "c"]

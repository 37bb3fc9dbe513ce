"""Reciprocal rank fusion."""

import pytest

from cascade.fuse.rrf import RrfFuser
from cascade.stages import Fuser
from cascade.testing import FuserConformance
from cascade.types import Ranking

LEFT = Ranking.from_scores([("a", 30.0), ("b", 20.0)], "left")
RIGHT = Ranking.from_scores([("b", 0.9), ("c", 0.8)], "right")


class TestRrf(FuserConformance):
    def make(self) -> Fuser:
        return RrfFuser()


def test_a_document_gains_one_over_k_plus_rank_from_each_ranking() -> None:
    fused = {c.doc_id: c.score for c in RrfFuser(rrf_k=60).fuse({"left": LEFT, "right": RIGHT})}
    assert fused == pytest.approx({"a": 1 / 61, "b": 1 / 62 + 1 / 61, "c": 1 / 62})


def test_scores_of_different_scales_do_not_matter() -> None:
    huge = Ranking.from_scores([("b", 9e9), ("c", 8e9)], "right")
    fuser = RrfFuser()
    assert fuser.fuse({"left": LEFT, "right": huge}) == fuser.fuse({"left": LEFT, "right": RIGHT})


def test_documents_with_one_score_are_told_apart_by_the_other_branch_alone() -> None:
    unmatched = Ranking.from_scores([("a", 0.0), ("b", 0.0), ("c", 0.0)], "bm25")
    dense = Ranking.from_scores([("c", 0.9), ("b", 0.5), ("a", 0.1)], "dense")
    assert RrfFuser().fuse({"bm25": unmatched, "dense": dense}).doc_ids == ["c", "b", "a"]


def test_a_weight_of_zero_leaves_only_the_other_branch_to_order() -> None:
    fused = RrfFuser(weights={"right": 0}).fuse({"left": LEFT, "right": RIGHT})
    assert fused.doc_ids == ["a", "b", "c"]

"""Weighted sum of normalised scores."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.fuse.normalize import min_max, z_score
from cascade.fuse.weighted import WeightedFuser
from cascade.stages import Fuser
from cascade.testing import FuserConformance
from cascade.types import Ranking

LEFT = Ranking.from_scores([("a", 30.0), ("b", 20.0), ("c", 10.0)], "left")
RIGHT = Ranking.from_scores([("c", 1.0), ("d", 0.0)], "right")
finite = st.floats(allow_nan=False, allow_infinity=False)


class TestWeighted(FuserConformance):
    def make(self) -> Fuser:
        return WeightedFuser()


class TestWeightedByZScore(FuserConformance):
    def make(self) -> Fuser:
        return WeightedFuser(normalize="z_score")


def test_a_document_that_a_branch_did_not_find_gets_its_lowest() -> None:
    fused = {c.doc_id: c.score for c in WeightedFuser(weights={"right": 2}).fuse({"left": LEFT, "right": RIGHT})}
    assert fused == pytest.approx({"a": 1.0, "b": 0.5, "c": 2.0, "d": 0.0})


@pytest.mark.parametrize("normalize", ["min_max", "z_score"])
@pytest.mark.parametrize("found", [("z",), ("y", "z")])
def test_the_only_documents_that_a_branch_found_stand_above_those_it_did_not(
    normalize: Literal["min_max", "z_score"], found: tuple[str, ...]
) -> None:
    words = Ranking.from_scores([(doc_id, 7.0) for doc_id in found], "words")
    meaning = Ranking.from_scores([("a", 0.9), ("y", 0.89), ("z", 0.89), ("b", 0.1)], "meaning")
    fused = WeightedFuser(normalize=normalize).fuse({"words": words, "meaning": meaning})
    assert fused.doc_ids[: len(found)] == list(found)


@given(st.lists(finite, min_size=1, max_size=20))
def test_min_max_stays_within_zero_and_one_and_keeps_the_order(scores: list[float]) -> None:
    normalized = min_max(scores)
    assert all(0 <= n <= 1 for n in normalized)
    by_score = sorted(range(len(scores)), key=lambda i: scores[i])
    assert [normalized[i] for i in by_score] == sorted(normalized)


@given(st.lists(finite, min_size=2, max_size=20))
def test_z_scores_have_mean_zero(scores: list[float]) -> None:
    assert sum(z_score(scores)) == pytest.approx(0, abs=1e-4)


@given(finite, st.integers(2, 9))
def test_equal_scores_have_no_z_score_however_they_round(score: float, count: int) -> None:
    assert z_score([score] * count) == [0.0] * count


def test_equal_scores_tell_nothing_apart() -> None:
    assert min_max([5.0, 5.0]) == [1.0, 1.0]
    assert z_score([5.0, 5.0]) == [0.0, 0.0]

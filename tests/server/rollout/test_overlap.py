"""Rankings are compared as the paper says, checked against values worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade_server.rollout.overlap import overlap, rank_biased_overlap

RANKINGS = st.lists(st.integers(0, 30).map(str), unique=True, max_size=20)
PERSISTENCES = st.floats(0.05, 0.99)


def by_definition(one: list[str], other: list[str], p: float, depth: int = 3000) -> float:
    """(1 - p) times the sum of p^(d-1) A_d, to a depth beyond which nothing counts; both rankings are whole."""
    return (1 - p) * sum(p ** (d - 1) * len(set(one[:d]) & set(other[:d])) / d for d in range(1, depth))


@pytest.mark.parametrize(
    ("one", "other", "p", "expected"),
    [
        ("abc", "abc", 0.9, 1.0),
        ("ab", "ba", 0.5, 0.5),  # nothing at depth 1, all from there on: (1 - p) (p + p^2 + ...) = p
        ("ab", "bac", 0.5, 0.5),  # what the shorter does not say is taken to agree too
        ("abc", "axy", 0.9, 0.415),  # 1/9 (0.9 + 0.81/2 + 0.729/3) + 0.729/3
        ("a", "ab", 0.5, 1.0),
        ("a", "ba", 0.5, 0.25),  # X = 0, 1: 1/2 1/4 seen, and ((1 - 0)/2 + 0) 1/4 for what follows
        ("", "", 0.9, 1.0),
        ("", "a", 0.9, 0.0),
        ("abc", "xyz", 0.9, 0.0),
    ],
)
def test_values_worked_out_by_hand(one: str, other: str, p: float, expected: float) -> None:
    assert rank_biased_overlap(list(one), list(other), p) == pytest.approx(expected)


@given(RANKINGS, PERSISTENCES)
def test_a_ranking_is_wholly_like_itself(ranking: list[str], p: float) -> None:
    assert rank_biased_overlap(ranking, ranking, p) == pytest.approx(1.0)
    assert overlap(ranking, ranking, 10) == 1.0


@given(RANKINGS, RANKINGS, PERSISTENCES)
def test_likeness_is_the_same_from_both_sides_and_between_0_and_1(one: list[str], other: list[str], p: float) -> None:
    assert rank_biased_overlap(one, other, p) == rank_biased_overlap(other, one, p)
    assert 0.0 <= rank_biased_overlap(one, other, p) <= 1.0
    assert overlap(one, other, 5) == overlap(other, one, 5)


@given(RANKINGS.filter(bool), RANKINGS.filter(bool), PERSISTENCES)
def test_rankings_without_a_common_document_are_not_alike(one: list[str], other: list[str], p: float) -> None:
    strangers = [f"other {doc_id}" for doc_id in other]
    assert rank_biased_overlap(one, strangers, p) == 0.0
    assert overlap(one, strangers, 10) == 0.0


@given(st.permutations([str(i) for i in range(12)]), st.floats(0.05, 0.95))
def test_two_orders_of_the_same_documents_have_the_value_of_the_definition(order: list[str], p: float) -> None:
    """All that follows agrees, which is what the extrapolation takes for granted: A_d = 1 from there on."""
    given_order = [str(i) for i in range(12)]
    whole = by_definition(given_order, order, p, depth=13) + p**12
    assert rank_biased_overlap(given_order, order, p) == pytest.approx(whole)


@given(RANKINGS.filter(lambda ranking: len(ranking) > 2), PERSISTENCES)
def test_a_swap_at_the_top_counts_for_more_than_one_at_the_bottom(ranking: list[str], p: float) -> None:
    top = [ranking[1], ranking[0], *ranking[2:]]
    bottom = [*ranking[:-2], ranking[-1], ranking[-2]]
    assert rank_biased_overlap(ranking, top, p) <= rank_biased_overlap(ranking, bottom, p)


def test_overlap_counts_the_first_only_and_the_longer_of_the_two() -> None:
    assert overlap(list("abcx"), list("cbay"), 3) == 1.0
    assert overlap(list("abcd"), list("abef"), 4) == 0.5
    assert overlap(list("ab"), list("abcd"), 4) == 0.5
    assert overlap([], [], 10) == 1.0
    assert overlap([], list("a"), 10) == 0.0

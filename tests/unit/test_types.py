"""Rankings keep their invariants."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.types import Candidate, Document, Ranking

pairs = st.dictionaries(st.text(min_size=1, max_size=3), st.floats(allow_nan=False, allow_infinity=False), max_size=20)


@given(pairs)
def test_a_ranking_is_sorted_by_score_then_doc_id_and_numbered_from_one(scores: dict[str, float]) -> None:
    ranking = Ranking.from_scores(scores.items(), "stage")
    keys = [(-c.score, c.doc_id) for c in ranking]
    assert keys == sorted(keys)
    assert [c.rank for c in ranking] == list(range(1, len(scores) + 1))
    assert {c.doc_id: c.score for c in ranking} == scores


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_is_refused_with_its_document(score: float) -> None:
    with pytest.raises(ValueError, match=r"'d7'.*finite"):
        Ranking.from_scores([("d7", score)], "stage")


def test_a_ranking_with_a_gap_is_refused() -> None:
    with pytest.raises(ValueError, match="rank 3, expected 2"):
        Ranking((Candidate("a", 1.0, 1, "s"), Candidate("b", 0.5, 3, "s")))


def test_a_ranking_that_holds_a_document_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="repeated doc_id"):
        Ranking((Candidate("a", 1.0, 1, "s"), Candidate("a", 0.5, 2, "s")))


def test_what_follows_a_ranking_keeps_its_scores_and_is_renumbered() -> None:
    head = Ranking.from_scores([("b", 9.0)], "cross")
    rest = Ranking.from_scores([("a", 0.5), ("c", 0.2)], "fuse").candidates
    whole = head.followed_by(rest)
    assert [(c.doc_id, c.rank, c.scored_by) for c in whole] == [("b", 1, "cross"), ("a", 2, "fuse"), ("c", 3, "fuse")]


def test_text_is_attached_where_it_is_known() -> None:
    ranking = Ranking.from_scores([("a", 2.0), ("b", 1.0)], "s").with_text({"a": "text of a"})
    assert [c.text for c in ranking] == ["text of a", None]


def test_a_passage_is_the_title_and_the_text_on_lines_of_their_own() -> None:
    assert Document("d", "body", "Title").passage == "Title\nbody"
    assert Document("d", "body").passage == "body"


def test_documents_with_one_score_stand_in_the_order_of_their_ids() -> None:
    ranking = Ranking.from_scores([("c", 1.0), ("a", 1.0), ("d", 2.0), ("b", 0.0), ("e", -0.0)], "s")
    assert ranking.doc_ids == ["d", "a", "c", "b", "e"]


def test_scores_that_name_a_document_twice_are_refused() -> None:
    with pytest.raises(ValueError, match="repeated doc_id"):
        Ranking.from_scores([("a", 1.0), ("a", 0.5)], "s")

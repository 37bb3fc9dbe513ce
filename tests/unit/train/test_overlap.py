"""Shared words, taken from answers and given to near misses."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from cascade.train.overlap import content_words, near_miss, without_shared_words

QUERY = "How to prevent heart attacks?"


def test_content_words_leave_out_how_a_question_is_asked_and_how_words_end() -> None:
    assert content_words(QUERY) == content_words("A heart attack prevented") == {"prevent", "heart", "attack"}


def test_an_answer_without_the_words_it_shares_keeps_the_rest() -> None:
    answer = "Exercise prevents heart attacks and lowers blood pressure."
    assert without_shared_words(QUERY, answer, 1.0, random.Random(0)) == "Exercise and lowers blood pressure."


@given(st.text(max_size=80), st.text(max_size=80), st.integers(0, 9))
def test_nothing_is_taken_where_nothing_is_lost_and_all_where_all_is(query: str, passage: str, seed: int) -> None:
    draw = random.Random(seed)
    assert without_shared_words(query, passage, 0.0, draw) == " ".join(passage.split())
    assert not content_words(query) & content_words(without_shared_words(query, passage, 1.0, draw))


def test_a_near_miss_repeats_the_question_and_says_something_else() -> None:
    found = near_miss(QUERY, "The bank was founded in 1885. It has 12 branches.", random.Random(3))
    assert "prevent heart attacks" in found
    assert "founded in 1885." in found or "12 branches." in found


def test_a_near_miss_can_be_made_of_a_question_without_content() -> None:
    assert near_miss("what is it?", "One sentence.", random.Random(0)).strip() == "One sentence."

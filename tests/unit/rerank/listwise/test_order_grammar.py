"""What a constrained model writes is an order: every identifier once, whatever it would rather write."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.rerank.listwise.order_grammar import OrderGrammar

DIGITS = [[ord(d) for d in str(number)] for number in range(1, 31)]


@given(st.integers(1, 30), st.sampled_from([[0], [0, 100], [0, 100, 101]]), st.randoms())
def test_any_way_through_the_grammar_is_a_permutation(count: int, separator: list[int], choice: random.Random) -> None:
    grammar = OrderGrammar(DIGITS[:count], separator)
    written: list[int] = []
    while choices := grammar.allowed(written):
        written.append(choice.choice(choices))
    assert sorted(grammar.named(written)) == list(range(count))
    assert len(written) <= grammar.longest()


@given(st.integers(2, 12).flatmap(lambda count: st.permutations(range(count))))
def test_every_permutation_can_be_written(places: list[int]) -> None:
    grammar = OrderGrammar(DIGITS[: len(places)], [0, 100])
    written: list[int] = []
    for token in [token for place in places[:-1] for token in (*DIGITS[place], 0, 100)]:
        choices = grammar.allowed(written)
        if not choices:
            break
        assert token in choices
        written.append(token)
    assert grammar.named(written) == places


def test_an_identifier_that_begins_another_can_end_or_go_on() -> None:
    grammar = OrderGrammar([[1], [1, 2], [3]], [0])
    assert grammar.allowed([]) == [1, 3]
    assert grammar.allowed([1]) == [2, 0]
    assert grammar.allowed([1, 0]) == [1, 3]
    assert grammar.allowed([1, 0, 1]) == [2]


def test_what_was_not_finished_is_not_named() -> None:
    grammar = OrderGrammar(DIGITS[:12], [0])
    assert grammar.named([*DIGITS[2], 0, *DIGITS[10][:1]]) == [2]


def test_a_single_document_needs_no_token() -> None:
    grammar = OrderGrammar([[7]], [0])
    assert grammar.allowed([]) == []
    assert grammar.named([]) == [0]


@pytest.mark.parametrize(
    ("identifiers", "separator"), [([[1], [1]], [0]), ([[1], []], [0]), ([[1]], []), ([[1, 0]], [0])]
)
def test_tokens_that_clash_are_refused(identifiers: list[list[int]], separator: list[int]) -> None:
    with pytest.raises(ValueError, match=r"identifier"):
        OrderGrammar(identifiers, separator)

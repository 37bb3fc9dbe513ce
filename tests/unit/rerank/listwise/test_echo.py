"""Which tokens of an echo are the query's."""

from __future__ import annotations

import pytest

from cascade.rerank.listwise.echo import query_log_probabilities
from cascade.rerank.listwise.endpoint import Echo

BEFORE = "Passage: Bread.\n\nQuestion: "


def echo(tokens: list[str], *, written: int = 1) -> Echo:
    """Each token's value is its place below 0; the first has none."""
    return Echo(tuple((t, None if i == 0 else -float(i)) for i, t in enumerate(tokens)), written, len(tokens), 0.0)


HEAD = ["Passage", ":", " Bread", ".", "\n", "\n", "Question", ":"]


@pytest.mark.parametrize(
    ("tokens", "query", "expected"),
    [
        ([*HEAD, " what", " is", "!"], "what is", [-8.0, -9.0]),
        ([*HEAD, " ", "2", " loaves", "!"], "2 loaves", [-8.0, -9.0, -10.0]),
        (["<s>", *HEAD, " what", " is", "!"], "what is", [-9.0, -10.0]),
        (["Passage", ":", "Bread", ".", "Question", ":", "what", "is", "!"], "what is", [-6.0, -7.0]),
        (["Passage", ": Bread", ".", "Question", ": what", " is", "!"], "what is", [-4.0, -5.0]),
        ([*HEAD, " ", "", "�", "\ufffd", "!"], "東", [-8.0, -9.0, -10.0, -11.0]),
        ([*HEAD, " caf", "", "é", "!"], "café", [-8.0, -9.0, -10.0]),
        ([*HEAD, " what", "</s>"], "what", [-8.0]),
    ],
)
def test_the_query_is_found_whatever_stands_around_it(tokens: list[str], query: str, expected: list[float]) -> None:
    assert query_log_probabilities(echo(tokens), BEFORE, query) == expected


def test_the_query_may_be_the_end_of_what_is_told() -> None:
    assert query_log_probabilities(echo([*HEAD, " what", " is"], written=0), BEFORE, "what is") == [-8.0, -9.0]
    assert query_log_probabilities(echo([*HEAD, " what", " is"], written=1), BEFORE, "what is") == [-8.0, -9.0]


def test_a_query_that_the_passage_repeats_is_found_where_it_stands() -> None:
    tokens = ["Passage", ":", " what", " is", "\n", "\n", "Question", ":", " what", " is", "!"]
    assert query_log_probabilities(echo(tokens), "Passage: what is\n\nQuestion: ", "what is") == [-8.0, -9.0]


def test_an_echo_of_another_text_is_an_error() -> None:
    with pytest.raises(ValueError, match="the tokens that it tells read ' no'"):
        query_log_probabilities(echo([" no"]), BEFORE, "what is")


@pytest.mark.parametrize("value", [None, float("-inf"), float("nan")])
def test_a_token_without_a_number_is_an_error(value: float | None) -> None:
    told = echo([*HEAD, " what", " is", "!"])
    read = (*told.read[:-2], (" is", value), told.read[-1])
    with pytest.raises(ValueError, match="of the query's 2 tokens it tells 1 log-probabilities"):
        query_log_probabilities(Echo(read, 1, 11, 0.0), BEFORE, "what is")

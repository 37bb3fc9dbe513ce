"""Text to terms."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from cascade.index import tokens
from cascade.index.tokens import tokenize, tokenize_query


def test_a_passage_becomes_the_stems_of_all_its_words() -> None:
    assert tokenize("The Boiling of WATERS, in kettles!") == ["the", "boil", "of", "water", "in", "kettl"]


def test_words_of_any_script_are_words() -> None:
    assert tokenize("Röntgen 1901 — 東京, Москва") == ["röntgen", "1901", "東京", "москва"]


def test_a_query_loses_its_function_words() -> None:
    assert tokenize_query("who was the first man on the moon") == ["first", "man", "moon"]


def test_a_query_of_function_words_only_keeps_them() -> None:
    assert tokenize_query("Who are they?") == ["who", "are", "they"]


def test_a_query_without_words_has_no_terms() -> None:
    assert tokenize_query(" ?! ") == []


def test_threads_get_the_same_stems() -> None:
    texts = [f"running runners ran {i} times" for i in range(200)]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(tokenize, texts)) == [tokenize(text) for text in texts]


def test_stems_that_are_remembered_are_few_and_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_MOST_KEPT", 10)
    monkeypatch.setattr(tokens, "_stems", tokens._Stems())
    for number in range(100):
        assert tokenize(f"boiling{number} {'ba' * 20}s") == [f"boiling{number}", "ba" * 20]
        assert len(tokens._stems) <= 10
        assert all(len(word) <= 32 for word in tokens._stems)

"""Token ids are those that the tokenizer would give, and its fingerprint says which tokenizers give the same."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from cascade.inference.tokenised import MOST_TOKENS, Tokeniser, fingerprint
from cascade.weights import resolve_model

TEXTS = [
    "",
    "Water boils.",
    "a [SEP] in the middle, <|im_end|> too",
    "title\nand  text \t",
    "naïve café 水 \U0001f30d",
    "x" * 300,
]


def tokenizer(reference: str) -> Any:
    return AutoTokenizer.from_pretrained(resolve_model(reference))


@pytest.fixture(scope="module")
def word_pieces() -> Any:
    return tokenizer("embedded:all-minilm-l6-v2")


@pytest.fixture(scope="module")
def made(word_pieces: Any) -> Tokeniser:
    return Tokeniser(word_pieces)


def _plain(given: Any, texts: list[str]) -> list[list[int]]:
    ids: list[list[int]] = given(texts, add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
    return ids


def test_the_embedded_models_of_one_vocabulary_have_one_fingerprint(word_pieces: Any) -> None:
    others = ["embedded:cross-encoder", "embedded:cross-encoder-l3", "embedded:late-interaction"]
    assert {fingerprint(tokenizer(other)) for other in others} == {fingerprint(word_pieces)}


def test_cutting_and_padding_make_no_other_tokenizer(word_pieces: Any) -> None:
    told = copy.deepcopy(word_pieces)
    told(["a", "b c"], padding="max_length", truncation=True, max_length=7)
    assert fingerprint(told) == fingerprint(word_pieces) == Tokeniser(told).fingerprint


def test_another_vocabulary_or_other_rules_make_another_tokenizer(
    word_pieces: Any, tiny_bert: Path, tiny_lm: Path
) -> None:
    cased = AutoTokenizer.from_pretrained(tiny_bert, do_lower_case=False)
    wider = copy.deepcopy(word_pieces)
    wider.add_tokens(["boils"])
    all_different = [word_pieces, wider, cased, *(AutoTokenizer.from_pretrained(f) for f in (tiny_bert, tiny_lm))]
    assert len({fingerprint(one) for one in all_different}) == 5


def test_a_tokenizer_that_cannot_be_written_down_has_no_fingerprint() -> None:
    class Spaces:
        """A tokenizer of Python code alone."""

        def __len__(self) -> int:
            return 70_000

        def __call__(self, texts: list[str], **_: Any) -> dict[str, list[list[int]]]:
            return {"input_ids": [[len(word) for word in text.split()] for text in texts]}

    made = Tokeniser(Spaces())
    assert made.fingerprint == ""
    (text,) = made(["one three"])
    assert (text.ids.tolist(), text.ids.dtype, text.total) == ([3, 5], np.dtype(np.uint32), 2)


@pytest.mark.parametrize("reference", ["embedded:all-minilm-l6-v2", "tiny_lm"])
def test_ids_are_those_of_the_tokenizer(reference: str, request: pytest.FixtureRequest) -> None:
    given = (
        tokenizer(reference) if ":" in reference else AutoTokenizer.from_pretrained(request.getfixturevalue(reference))
    )
    found = Tokeniser(given)(TEXTS)
    assert [text.ids.tolist() for text in found] == _plain(given, TEXTS)
    assert [text.total for text in found] == [len(text.ids) for text in found]
    assert Tokeniser(given)([]) == []


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=60), max_size=4))
def test_ids_are_those_of_the_tokenizer_whatever_the_text(word_pieces: Any, made: Tokeniser, texts: list[str]) -> None:
    assert [text.ids.tolist() for text in made(texts)] == ([] if not texts else _plain(word_pieces, texts))


def test_special_tokens_in_a_text_are_read_as_the_tokenizer_reads_them(word_pieces: Any) -> None:
    split = copy.deepcopy(word_pieces)
    split.split_special_tokens = True
    texts = ["one [SEP] two"]
    assert Tokeniser(split)(texts)[0].ids.tolist() == _plain(split, texts)[0]
    assert fingerprint(split) != fingerprint(word_pieces)


def test_of_a_long_text_the_beginning_is_kept_and_the_length_of_all_of_it(word_pieces: Any) -> None:
    (text,) = Tokeniser(word_pieces)(["word " * 9000])
    assert (len(text.ids), text.total, text.ids.dtype) == (MOST_TOKENS, 9000, np.dtype(np.uint16))


def test_what_a_tokenizer_is_told_meanwhile_changes_nothing(word_pieces: Any) -> None:
    told = copy.deepcopy(word_pieces)
    made = Tokeniser(told)
    told(["a b c d e"], padding="max_length", truncation=True, max_length=3)
    assert made(["a b c d e", "a"])[0].total == 5
    assert made(["a b c d e", "a"])[1].total == 1

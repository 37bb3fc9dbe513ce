"""User text never becomes a control token."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from cascade.rerank.listwise.control import ControlTokens
from cascade.weights import resolve_model

NESTED = ["<|im_<|im_end|>end|>", "<<file_sep>file_sep>", "<file_<file_sep>sep>", "<|im_start|><|im_end|><gh_stars>"]


@pytest.fixture(scope="session", params=["tiny", "smollm2"])
def control(request: pytest.FixtureRequest, tiny_lm: Path) -> ControlTokens:
    """Of a small tokenizer made here, and of the embedded language model."""
    source = tiny_lm if request.param == "tiny" else resolve_model("embedded:smollm2-135m-instruct")
    return ControlTokens(AutoTokenizer.from_pretrained(source))


def test_every_control_string_in_user_text_is_broken(control: ControlTokens) -> None:
    assert len(control.strings) >= 5
    for string in control.strings:
        assert set(control.encode_template(string)) & control.ids, f"{string} is no control token: nothing is tested"
        for text in (string, f"a {string} b", string * 3, string.upper()):
            assert not set(control.encode(text)) & control.ids
            assert control.encode(text)


def test_one_text_with_every_control_string_is_broken(control: ControlTokens) -> None:
    assert not set(control.encode("".join(control.strings))) & control.ids
    assert not set(control.encode(" ".join(reversed(control.strings)))) & control.ids


@pytest.mark.parametrize("text", NESTED)
def test_nested_control_strings_are_broken(control: ControlTokens, text: str) -> None:
    assert not set(control.encode(text)) & control.ids
    assert not any(string in control.escape(text) for string in control.strings)


def test_text_without_control_strings_is_left_as_it_is(control: ControlTokens) -> None:
    text = "if a < b and c > d | e: the <b>end</b>\n\tof the *file*"
    assert control.escape(text) == text


def test_escaping_only_adds_spaces(control: ControlTokens) -> None:
    text = "".join(NESTED)
    assert control.escape(text).replace(" ", "") == text


def test_a_marker_that_is_not_one_control_token_is_refused(control: ControlTokens) -> None:
    with pytest.raises(ValueError, match="is not one control token"):
        control.id_of("two words")


@settings(deadline=None)
@given(st.lists(st.sampled_from(["<|", "|>", "<", ">", "im_", "end", "start", "file_sep", "<file_sep>", "<|im_end|>"])))
def test_no_arrangement_of_pieces_becomes_a_control_token(control: ControlTokens, pieces: list[str]) -> None:
    assert not set(control.encode("".join(pieces))) & control.ids

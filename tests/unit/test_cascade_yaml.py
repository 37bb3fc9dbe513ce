"""YAML of a stranger cannot cost more than its length."""

from __future__ import annotations

from pathlib import Path

import pytest

from cascade.cascade_yaml import MAX_BYTES, MAX_DEPTH, MAX_NODES, read_mapping
from cascade.config import load, parse
from cascade.errors import ConfigError


def problem(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read_mapping(text, "test.yaml")
    return str(caught.value)


def test_a_billion_laughs_are_refused_where_they_become_too_many() -> None:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 20)]
    assert problem("\n".join(lines)) == (
        f"test.yaml: not a cascade: found more than {MAX_NODES} keys and values, aliases followed, in line 5"
    )


def test_laughs_by_merging_are_refused_too() -> None:
    lines = ["a0: &a0 {x: 1, y: 2, z: 3}"]
    lines += [f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}" for i in range(1, 20)]
    assert "keys and values, aliases followed" in problem("\n".join(lines))


def test_an_alias_within_what_it_stands_for_is_refused() -> None:
    assert "found an alias that stands within what it stands for; write it out, in line 1" in problem("a: &a [1, *a]")


def test_aliases_that_stand_for_little_are_read() -> None:
    assert read_mapping("a: &a {x: [1, 2]}\nb: *a\nc: [*a, *a]", "test.yaml")["c"] == [{"x": [1, 2]}] * 2


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * MAX_DEPTH + "]" * MAX_DEPTH,
        "a: " + "{b: " * MAX_DEPTH + "1" + "}" * MAX_DEPTH,
        "a0: &a0 [1]\n" + "\n".join(f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, MAX_DEPTH)),
    ],
)
def test_what_is_nested_too_deep_is_refused(text: str) -> None:
    assert f"nested too deep, more than {MAX_DEPTH} levels" in problem(text)


def test_what_is_nested_as_deep_as_allowed_is_read() -> None:
    levels = MAX_DEPTH - 2
    assert read_mapping("a: " + "[" * levels + "1" + "]" * levels, "test.yaml")


def test_a_text_that_is_too_long_is_refused_before_it_is_read() -> None:
    text = "# " + "ä" * (MAX_BYTES // 2) + "\nretrieve: [{kind: bm25}]"
    assert f"expected at most {MAX_BYTES}" in problem(text)


def test_many_nodes_are_refused() -> None:
    assert "more than 10000 keys and values" in problem("a: [" + "1," * MAX_NODES + "]")


def test_a_long_calibration_is_read() -> None:
    points = ", ".join(f"{i / 1000}" for i in range(1000))
    tier = f"{{kind: cross_encoder, depth: 5, calibration: {{method: isotonic, x: [{points}], y: [{points}]}}}}"
    assert parse(f"retrieve: [{{kind: bm25}}]\ntiers: [{tier}]", "test.yaml").calibrated == "cross_encoder"


def test_a_file_that_is_too_long_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "long.yaml"
    path.write_text("#" * (10 * MAX_BYTES))
    with pytest.raises(ConfigError, match=f"found {MAX_BYTES + 1} bytes"):
        load(path)


def test_thousands_of_problems_are_counted_and_not_all_told() -> None:
    with pytest.raises(ConfigError) as caught:
        parse("retrieve: [" + "{kind: bm25, dept: 1}," * 500 + "]", "test.yaml")
    assert len(caught.value.problems) == 101
    assert caught.value.problems[-1] == "and 400 more problems"


@pytest.mark.parametrize("number", ["9" * 60_000, "1:" * 30_000 + "1", "0x" + "f" * 60_000, "1e" + "9" * 60_000])
def test_a_number_as_long_as_a_text_may_be_is_no_cascade(number: str) -> None:
    with pytest.raises(ConfigError):
        parse(f"retrieve: [{{kind: bm25, depth: {number}}}]", "test.yaml")


@pytest.mark.parametrize(
    "value", ["!!int ''", "!!int '+'", "!!float _", "!!bool perhaps", "!!timestamp soon", "1:" * 300 + "1.5"]
)
def test_a_value_that_is_not_what_it_says_is_no_yaml(value: str) -> None:
    assert "not what its tag or form says" in problem(f"description: {value}")
    assert "not what its tag or form says" in problem(f"? {value}\n: 1")


@pytest.mark.parametrize("text", [r'description: "\uD83D"', r'"\uD83D": 1', r'a: [{b: "x\uDE00"}]'])
def test_half_a_character_is_refused_where_it_stands(text: str) -> None:
    assert "found half a character" in problem(text)
    assert "line 1, column" in problem(text)


def test_surrogates_and_control_characters_are_refused() -> None:
    problem("a: \ud800")
    problem("a: \x00")

"""A cascade file is read strictly, and its errors say what to change."""

from pathlib import Path

import pytest

from cascade import presets
from cascade.config import load, parse
from cascade.errors import ConfigError

MINIMAL = "retrieve: [{kind: bm25}]"
TWO_TIERS = """
retrieve: [{kind: bm25}]
tiers:
  - {kind: cross_encoder, name: cross, depth: 20}
  - {kind: joint, depth: %d}
"""


def problem(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text, "test.yaml")
    return str(caught.value)


def test_a_cascade_narrows() -> None:
    message = problem(TWO_TIERS % 50)
    assert "tier 'listwise' has depth 50, more than the 20 of 'cross' before it: a cascade narrows" in message


def test_tiers_of_shrinking_depth_are_accepted() -> None:
    assert parse(TWO_TIERS % 20, "test.yaml").stage_names == ("bm25", "fuse", "cross", "listwise")


def test_no_tier_is_deeper_than_the_fused_ranking() -> None:
    text = "retrieve: [{kind: bm25}]\nfuse: {kind: rrf, depth: 10}\ntiers: [{kind: identity, depth: 11}]"
    assert "more than the 10 of 'fuse'" in problem(text)


def test_an_unknown_key_is_refused_with_its_place() -> None:
    assert "retrieve.0.bm25.dpeth: unknown key" in problem("retrieve: [{kind: bm25, dpeth: 5}]")


def test_every_problem_is_reported_not_only_the_first() -> None:
    with pytest.raises(ConfigError) as caught:
        parse("retrieve: [{kind: bm25, depth: 0}]\nfuse: {kind: rrf, rrf_k: 0}", "test.yaml")
    assert len(caught.value.problems) == 2


def test_a_cascade_without_a_retriever_is_refused() -> None:
    assert "name at least one retriever" in problem("retrieve: []")


def test_two_stages_of_one_name_are_refused() -> None:
    assert "two stages are named 'bm25'" in problem("retrieve: [{kind: bm25}, {kind: dense, name: bm25}]")


def test_a_weight_for_a_branch_that_is_not_there_is_refused() -> None:
    assert "'dnese'" in problem("retrieve: [{kind: bm25}]\nfuse: {kind: rrf, weights: {dnese: 2}}")


def test_weights_that_are_all_zero_are_refused() -> None:
    assert "the weight 0" in problem("retrieve: [{kind: bm25}]\nfuse: {kind: rrf, weights: {bm25: 0}}")


def test_an_unknown_kind_is_refused_with_those_that_exist() -> None:
    assert "'cross_encoder'" in problem("retrieve: [{kind: bm25}]\ntiers: [{kind: crossencoder, depth: 5}]")


def test_text_that_is_not_yaml_is_refused_with_its_line() -> None:
    assert "line 1" in problem("retrieve: [")


def test_a_list_is_no_cascade() -> None:
    assert "found list, expected a mapping" in problem("- 1")


def test_yaml_cannot_make_objects() -> None:
    assert "not valid YAML" in problem("!!python/object/apply:os.getcwd []")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.yaml.*cannot be read"):
        load(tmp_path / "gone.yaml")


def test_the_hash_follows_the_meaning_and_not_the_spelling() -> None:
    spelled_out = "retrieve:\n- kind: bm25\n  depth: 100  # the default"
    assert parse(MINIMAL, "a").config_hash == parse(spelled_out, "b").config_hash
    assert parse(MINIMAL, "a").config_hash != parse("retrieve: [{kind: bm25, depth: 99}]", "c").config_hash


def test_the_presets_are_valid() -> None:
    assert set(presets.load_all()) == {"fast", "quality"}

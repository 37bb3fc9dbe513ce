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


@pytest.mark.parametrize("number", [".inf", "-.inf", ".nan"])
@pytest.mark.parametrize(
    "setting", ["budget_ms: %s", "fuse: {kind: rrf, rrf_k: %s}", "fuse: {kind: rrf, weights: {bm25: %s}}"]
)
def test_a_number_that_is_not_finite_is_refused(setting: str, number: str) -> None:
    problem(f"{MINIMAL}\n{setting % number}")


def test_a_key_that_stands_twice_is_refused_with_both_places() -> None:
    message = problem("retrieve: [{kind: bm25}]\nretrieve: [{kind: dense}]")
    assert "found the key 'retrieve' again; keep one of the two" in message
    assert "line 1" in message
    assert "line 2" in message


def test_a_merged_mapping_may_be_overridden() -> None:
    text = """
    retrieve:
      - &first {kind: bm25, depth: 5}
      - &second {<<: *first, name: second, depth: 7}
      - {<<: *second, name: third}
    """
    assert [r.depth for r in parse(text, "test.yaml").retrieve] == [5, 7, 7]


@pytest.mark.parametrize("text", ["description: 2026-13-45", "retrieve: " + "[" * 5000 + "]" * 5000])
def test_what_only_looks_like_yaml_is_refused_like_a_typo(text: str) -> None:
    assert problem(text).startswith("test.yaml: not ")


def test_a_tier_without_a_model_is_refused_the_name_of_one() -> None:
    assert "model: unknown key" in problem(f"{MINIMAL}\ntiers: [{{kind: identity, depth: 5, model: some}}]")
    assert "model" in problem(f"{MINIMAL}\ntiers: [{{kind: cross_encoder, depth: 5, model: ''}}]")


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
    assert set(presets.load_all()) == {"fast", "quality", "rerank"}


def test_windows_leave_no_document_between_them() -> None:
    with pytest.raises(ConfigError, match="stride 30 is more than the window of 20"):
        parse("retrieve: [{kind: bm25}]\ntiers: [{kind: permutation, depth: 50, window: 20, stride: 30}]", "c.yaml")


def test_a_tier_behind_an_endpoint_names_the_endpoint_s_model() -> None:
    endpoint = "endpoint: {url: 'http://localhost:8000/v1', model: large}"
    config = parse(f"retrieve: [{{kind: bm25}}]\ntiers: [{{kind: logits, depth: 5, {endpoint}}}]", "c.yaml")
    assert config.tiers[0].model_in_use == "large"


def test_a_likelihood_tier_and_a_joint_one_can_run_behind_an_endpoint() -> None:
    endpoint = "endpoint: {url: 'http://localhost:8000/v1', model: large}"
    config = parse(
        f"retrieve: [{{kind: bm25}}]\ntiers: [{{kind: likelihood, depth: 5, bos: <s>, {endpoint}}}]", "c.yaml"
    )
    assert config.tiers[0].model_in_use == "large"
    joint = parse(f"retrieve: [{{kind: bm25}}]\ntiers: [{{kind: joint, depth: 5, {endpoint}}}]", "c.yaml").tiers[0]
    assert (joint.model_in_use, getattr(joint, "model", "")) == ("large", "embedded:listwise")
    assert "concurrency" in problem("retrieve: [{kind: bm25}]\ntiers: [{kind: joint, depth: 5, concurrency: 0}]")
    local = "retrieve: [{kind: bm25}]\ntiers: [{kind: likelihood, depth: 5, bos: <s>}]"
    assert "found bos '<s>' without an endpoint" in problem(local)


def test_a_cascade_of_a_thousand_stages_is_refused() -> None:
    def tiers(count: int) -> str:
        return ", ".join(f"{{kind: identity, name: t{number}, depth: 5}}" for number in range(count))

    assert len(parse(f"retrieve: [{{kind: bm25}}]\ntiers: [{tiers(30)}]", "c.yaml").stage_names) == 32
    assert "found 33 stages, expected at most 32" in problem(f"retrieve: [{{kind: bm25}}]\ntiers: [{tiers(31)}]")


@pytest.mark.parametrize("tier", ["kind: permutation, window: 1000000000", "kind: tournament, rounds: 1000000000"])
def test_what_is_made_or_run_so_often_has_an_end(tier: str) -> None:
    assert "less than or equal to 100" in problem(f"retrieve: [{{kind: bm25}}]\ntiers: [{{{tier}, depth: 5}}]")

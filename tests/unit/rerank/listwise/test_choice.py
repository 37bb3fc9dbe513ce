"""A language model runs in eight bits unasked only where a record says that it costs exactly its weights nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from structlog.testing import capture_logs

from cascade.inference.towers.records import FILE, Measured, Record, write
from cascade.rerank.listwise import choice
from cascade.rerank.listwise.checkpoint import JointSettings
from cascade.rerank.listwise.choice import chosen
from cascade.rerank.listwise.joint_model import JointModel
from cascade.weights import resolver

MEASURED = Measured("tea", "test", 50, 20, 0.5, 0.499, 0.001, -0.001, 0.003, 0.4, 0.98, 2.5)
LOST = replace(MEASURED, collection="rain", loss=0.003)
Choose = Callable[..., str]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor that multiplies bytes fast, and an empty cache."""
    monkeypatch.setattr(choice, "available", lambda: True)
    monkeypatch.setattr(resolver, "_cache_root", tmp_path / "cache")


def write_record(folder: Path, weights: str, *measured: Measured) -> None:
    write(Record(weights, "native-int8", "torch 2", "a processor", 1, measured), folder / FILE)


@pytest.fixture(scope="module")
def stack(tiny_lm: Path) -> Any:
    from transformers import AutoModel

    return AutoModel.from_pretrained(tiny_lm)


@pytest.fixture
def choose(stack: Any, tmp_path: Path) -> Choose:
    """Of weights 'abc' in an own folder."""
    return lambda wanted="auto", stack=stack: chosen(stack, wanted, weights="abc", folder=tmp_path, name="a model")


def test_without_a_record_nothing_is_rounded(choose: Choose) -> None:
    assert choose() == "auto"


def test_what_costs_nothing_that_counts_is_taken(choose: Choose, tmp_path: Path) -> None:
    write_record(tmp_path, "abc", MEASURED)
    assert choose() == "native-int8"


def test_a_loss_on_one_collection_is_too_much(choose: Choose, tmp_path: Path) -> None:
    write_record(tmp_path, "abc", MEASURED, LOST)
    assert choose() == "auto"


def test_a_record_of_other_weights_says_nothing(choose: Choose, tmp_path: Path) -> None:
    write_record(tmp_path, "abd", MEASURED)
    assert choose() == "auto"


def test_where_bytes_are_not_multiplied_faster_nothing_is_rounded(
    choose: Choose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_record(tmp_path, "abc", MEASURED)
    monkeypatch.setattr(choice, "available", lambda: False)
    assert choose() == "auto"


def test_layers_that_eight_bits_do_not_run_are_left_as_they_are(choose: Choose, tmp_path: Path) -> None:
    from transformers import MistralConfig, MistralModel

    write_record(tmp_path, "abc", MEASURED)
    config = MistralConfig(
        vocab_size=40, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4
    )
    assert choose(stack=MistralModel(config)) == "auto"


def test_what_is_asked_for_by_name_is_taken(choose: Choose, tmp_path: Path) -> None:
    write_record(tmp_path, "abc", MEASURED)
    with capture_logs() as told:
        assert [choose(one) for one in ("torch-fp32", "torch-bf16", "native-int8")] == [
            "torch-fp32",
            "torch-bf16",
            "native-int8",
        ]
    assert not told


@pytest.mark.parametrize("measured", [False, True])
def test_eight_bits_asked_for_that_may_cost_something_are_told_of(
    choose: Choose, tmp_path: Path, measured: bool
) -> None:
    if measured:
        write_record(tmp_path, "abc", LOST)
    with capture_logs() as told:
        assert choose("native-int8") == "native-int8"
    (line,) = told
    assert (line["event"], line["measured"]) == ("backend_quality_doubtful", measured)
    assert line["losses"] == ({"rain": 0.003} if measured else {})


def test_a_joint_model_with_a_record_beside_it_runs_in_eight_bits(
    joint_folders: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(joint_folders[0], tmp_path / "joint")
    before = JointModel(str(folder), device="cpu")
    before.ensure_loaded()
    assert before.backend.startswith("torch")
    write_record(folder, before.weights, MEASURED)
    after = JointModel(str(folder), device="cpu")
    after.ensure_loaded()
    assert (after.backend, after.weights) == ("native-int8", before.weights)
    assert after.status.backend == "native-int8"


def test_weights_that_are_kept_in_bfloat16_are_the_same_however_they_are_loaded(
    joint_folders: tuple[Path, Path], tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM

    folder = shutil.copytree(joint_folders[0], tmp_path / "joint")
    settings = JointSettings.read(folder)
    base = shutil.copytree(settings.base, tmp_path / "base")
    AutoModelForCausalLM.from_pretrained(settings.base, dtype=torch.bfloat16).save_pretrained(base)
    replace(settings, base=str(base)).write(folder)
    models = [JointModel(str(folder), device="cpu", backend=one) for one in ("torch-fp32", "torch-bf16")]
    for one in models:
        one.ensure_loaded()
    assert [one.backend for one in models] == ["torch-fp32", "torch-bf16"]
    assert models[0].weights == models[1].weights != ""

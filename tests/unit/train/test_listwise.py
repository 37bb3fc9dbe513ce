"""The joint head learns from lists, goes on where it stopped, and what it writes can be served."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cascade.errors import InvalidInputError
from cascade.rerank.listwise.checkpoint import JointSettings, load_network
from cascade.train.lists import ListMix
from cascade.train.listwise import JointRecipe, train

pytestmark = pytest.mark.filterwarnings(
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"  # peft asks transformers by the old name
)

RECIPE = JointRecipe(
    layers=2,
    first_trained_layer=1,
    rank=2,
    alpha=4,
    inner_size=16,
    out_size=8,
    learning_rate=1e-2,
    lists_per_step=2,
    max_doc_tokens=32,
    mix=ListMix(nearest=1, overlapping=2, random=0),
)


def run(beir_folder: Path, tiny_lm: Path, out: Path, *, steps: int, resume: bool = False) -> Path:
    return train(
        data=[beir_folder],
        out=out,
        base=str(tiny_lm),
        work=out / "work",
        minutes=10,
        steps=steps,
        resume=resume,
        recipe=RECIPE,
    )


def test_what_was_learned_can_be_served(beir_folder: Path, tiny_lm: Path, tmp_path: Path) -> None:
    import torch

    out = run(beir_folder, tiny_lm, tmp_path / "joint", steps=5)
    network = load_network(out, JointSettings.read(out), str(tiny_lm), torch.float32)
    with torch.inference_mode():
        query, passages = network(torch.arange(5, 40), torch.tensor([10, 20]), torch.tensor(34))
    assert passages @ query == pytest.approx((passages @ query).clamp(-1, 1))
    curve = [json.loads(line) for line in (out / "work" / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert 0 < curve[0]["reciprocal_rank"] <= 1
    assert curve[0]["tokens"] > 0


def test_training_goes_on_where_it_stopped(beir_folder: Path, tiny_lm: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    out = tmp_path / "joint"
    first = load_file(str(run(beir_folder, tiny_lm, out, steps=2) / "joint.safetensors"))
    spent = json.loads((out / "work" / "checkpoint-2" / "clock.json").read_text(encoding="utf-8"))["spent_s"]
    second = load_file(str(run(beir_folder, tiny_lm, out, steps=4, resume=True) / "joint.safetensors"))
    assert first.keys() == second.keys()
    assert any(not first[name].equal(second[name]) for name in first)
    clock = json.loads((out / "work" / "checkpoint-4" / "clock.json").read_text(encoding="utf-8"))
    assert clock["spent_s"] > spent


def test_the_same_seed_learns_the_same(beir_folder: Path, tiny_lm: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    one, two = (
        load_file(str(run(beir_folder, tiny_lm, tmp_path / name, steps=1) / "joint.safetensors"))
        for name in ("one", "two")
    )
    assert all(one[name].float().allclose(two[name].float(), atol=2e-3) for name in one)


def test_a_folder_with_checkpoints_is_not_overwritten(beir_folder: Path, tiny_lm: Path, tmp_path: Path) -> None:
    run(beir_folder, tiny_lm, tmp_path / "joint", steps=1)
    with pytest.raises(InvalidInputError, match="already holds checkpoints"):
        run(beir_folder, tiny_lm, tmp_path / "joint", steps=1)


def test_there_must_be_something_to_resume(beir_folder: Path, tiny_lm: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="holds no checkpoint"):
        run(beir_folder, tiny_lm, tmp_path / "joint", steps=1, resume=True)

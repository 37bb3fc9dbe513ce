"""A cross-encoder really learns, and a run that stopped goes on where it was."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from sentence_transformers import CrossEncoder

from cascade.errors import InvalidInputError
from cascade.train.cross_encoder import CrossEncoderRecipe, Development, train_cross_encoder
from cascade.train.list_loss import SoftListLoss


@pytest.fixture
def recipe(tiny_bert: Path) -> CrossEncoderRecipe:
    return CrossEncoderRecipe(
        base=str(tiny_bert),
        teacher=str(tiny_bert),
        lists_per_batch=4,
        learning_rate=5e-3,
        bf16=False,
        checkpoint_steps=1,
        max_length=32,
        teacher_max_length=32,
    )


def _losses(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]


def test_a_run_learns_and_its_model_loads(
    beir_folder: Path, tiny_bert: Path, tmp_path: Path, recipe: CrossEncoderRecipe
) -> None:
    out = tmp_path / "run"
    development = Development(beir_folder, "test", depth=5, every_steps=2)
    folder = train_cross_encoder([beir_folder], out, replace(recipe, steps=2), development=development)

    model = CrossEncoder(str(folder), device="cpu")
    base = CrossEncoder(str(tiny_bert), num_labels=1, device="cpu")
    trained, untrained = model.state_dict(), base.state_dict()
    moved = {name for name in trained if not torch.equal(trained[name], untrained[name])}
    assert any("encoder.layer" in name for name in moved)
    assert not any("word_embeddings" in name for name in moved)
    assert isinstance(model.activation_fn, torch.nn.Identity)
    assert len(model.predict([("what is tea", "tea facts"), ("what is tea", "rain")])) == 2
    assert [entry["eval_ndcg_at_10"] for entry in _losses(out) if "eval_ndcg_at_10" in entry]


def test_a_stopped_run_resumes_from_its_last_checkpoint(
    beir_folder: Path, tmp_path: Path, recipe: CrossEncoderRecipe
) -> None:
    out = tmp_path / "run"
    train_cross_encoder([beir_folder], out, replace(recipe, steps=1))
    before = torch.load(out / "checkpoints" / "checkpoint-1" / "optimizer.pt")["state"][0]["step"]
    train_cross_encoder([beir_folder], out, replace(recipe, steps=3), resume=True)
    after = torch.load(out / "checkpoints" / "checkpoint-3" / "optimizer.pt")["state"][0]["step"]
    assert (int(before), int(after)) == (1, 3)


def test_a_folder_with_checkpoints_is_not_overwritten(
    beir_folder: Path, tmp_path: Path, recipe: CrossEncoderRecipe
) -> None:
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    with pytest.raises(InvalidInputError, match="already holds checkpoints"):
        train_cross_encoder([beir_folder], tmp_path / "run", recipe)


def test_resuming_without_a_checkpoint_is_refused(
    beir_folder: Path, tmp_path: Path, recipe: CrossEncoderRecipe
) -> None:
    with pytest.raises(InvalidInputError, match="no checkpoint to resume from"):
        train_cross_encoder([beir_folder], tmp_path / "run", recipe, resume=True)


def test_the_loss_does_not_depend_on_how_pairs_are_batched(tiny_bert: Path) -> None:
    model = CrossEncoder(str(tiny_bert), num_labels=1, device="cpu").eval()
    inputs = (["what is tea", "what is rain"], [["tea", "some facts about rain and more"], ["rain", "tea", "iron of"]])
    labels = [torch.tensor([1.0, 0.0]), torch.tensor([0.2, 0.3, 0.5])]
    apart = SoftListLoss(model, pairs_per_pass=1)(inputs, labels)
    together = SoftListLoss(model, pairs_per_pass=16)(inputs, labels)
    assert apart.item() == pytest.approx(together.item(), rel=1e-5)


def test_a_few_steps_on_one_batch_lower_the_loss(tiny_bert: Path) -> None:
    torch.manual_seed(0)
    model = CrossEncoder(str(tiny_bert), num_labels=1, device="cpu")
    inputs = (["what is tea"], [["tea facts", "rain facts"]])
    labels = [torch.tensor([1.0, 0.0])]
    loss = SoftListLoss(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    first = loss(inputs, labels)
    for _ in range(5):
        optimizer.zero_grad()
        loss(inputs, labels).backward()
        optimizer.step()
    assert loss(inputs, labels).item() < first.item()

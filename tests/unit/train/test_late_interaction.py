"""A late interaction model really learns, and a run that stopped goes on where it was."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from sentence_transformers import MultiVectorEncoder
from sentence_transformers.base.modules import Transformer

from cascade.errors import InvalidInputError
from cascade.train.development import Development
from cascade.train.late_interaction import LateInteractionRecipe, by_length, train_late_interaction
from cascade.train.lists import ListMix, TrainingList
from cascade.train.token_states import TokenStates


@pytest.fixture
def recipe(tiny_bert: Path) -> LateInteractionRecipe:
    return LateInteractionRecipe(
        base=str(tiny_bert),
        teacher=str(tiny_bert),
        dimensions=8,
        lists_per_batch=4,
        learning_rate=5e-3,
        projection_learning_rate=5e-2,
        bf16=False,
        checkpoint_steps=1,
        max_length=32,
        mix=ListMix(nearest=2, overlapping=1, random=0, label_share=0.8),
    )


def _log(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]


def _state(folder: Path) -> dict[str, torch.Tensor]:
    return dict(MultiVectorEncoder(str(folder), device="cpu").state_dict())


def test_a_frozen_base_reads_every_text_once_and_its_projection_learns(
    beir_folder: Path, tmp_path: Path, recipe: LateInteractionRecipe
) -> None:
    out = tmp_path / "run"
    development = Development(beir_folder, "test", depth=5, every_steps=2)
    folder = train_late_interaction([beir_folder], out, replace(recipe, steps=4, epochs=4), development=development)
    model = MultiVectorEncoder(str(folder), device="cpu")
    assert type(model[0]) is Transformer
    (vectors,) = model.encode_document(["facts about tea"], show_progress_bar=False)
    assert vectors.shape[1] == 8
    assert vectors.norm(dim=1).tolist() == pytest.approx([1.0] * len(vectors), abs=1e-5)
    assert any("eval_ndcg_at_10" in entry for entry in _log(out))
    assert (out / "curve.png").stat().st_size > 0

    untrained = train_late_interaction(
        [beir_folder], tmp_path / "untrained", replace(recipe, steps=1, projection_learning_rate=0.0)
    )
    before, after = _state(untrained), _state(folder)
    moved = {name for name in after if not torch.equal(before[name], after[name])}
    assert moved == {"1.linear.weight"}


def test_upper_layers_are_trained_where_that_is_asked_for(
    beir_folder: Path, tiny_bert: Path, tmp_path: Path, recipe: LateInteractionRecipe
) -> None:
    folder = train_late_interaction([beir_folder], tmp_path / "run", replace(recipe, steps=2, trained_layers=1))
    base, trained = Transformer(str(tiny_bert)).state_dict(), _state(folder)
    moved = {name for name, tensor in base.items() if not torch.equal(tensor, trained[f"0.{name}"])}
    assert moved
    last = max(int(name.split("layer.")[1].split(".")[0]) for name in base if "encoder.layer" in name)
    assert all(f"encoder.layer.{last}." in name for name in moved)


def test_a_stopped_run_resumes_from_its_last_checkpoint(
    beir_folder: Path, tmp_path: Path, recipe: LateInteractionRecipe
) -> None:
    out = tmp_path / "run"
    train_late_interaction([beir_folder], out, replace(recipe, steps=1))
    train_late_interaction([beir_folder], out, replace(recipe, steps=3), resume=True)
    saved = torch.load(out / "checkpoints" / "checkpoint-3" / "optimizer.pt")
    assert int(saved["state"][0]["step"]) == 3
    with pytest.raises(InvalidInputError, match="already holds checkpoints"):
        train_late_interaction([beir_folder], out, recipe)


def test_resuming_without_a_checkpoint_is_refused(
    beir_folder: Path, tmp_path: Path, recipe: LateInteractionRecipe
) -> None:
    with pytest.raises(InvalidInputError, match="no checkpoint to resume from"):
        train_late_interaction([beir_folder], tmp_path / "run", recipe, resume=True)


def test_batches_hold_lists_of_like_length_and_columns_documents_of_like_length() -> None:
    recipe = LateInteractionRecipe(lists_per_batch=2)
    lists = [TrainingList(str(n), ("w" * n, "w" * (9 * n)), (1.0, 0.0)) for n in (1, 50, 2, 40)]
    odd = TrainingList("odd", ("w",), (1.0,))
    batches = [one.query for one in by_length([*lists, odd], recipe)]
    assert sorted([sorted(batches[:2]), sorted(batches[2:])]) == [["1", "2"], ["40", "50"]]
    turned = by_length([TrainingList("q", ("long text", "short"), (0.9, 0.1))], recipe)[0]
    assert (turned.documents, turned.targets) == (("short", "long text"), (0.1, 0.9))


def test_token_states_are_kept_whole_on_disk(tmp_path: Path) -> None:
    import numpy as np

    memory = TokenStates(tmp_path)
    first, second = np.arange(3), np.arange(5)
    memory[first] = np.ones((3, 4), dtype=np.float16)
    memory[second] = np.full((5, 4), 2, dtype=np.float16)
    memory.save()
    again = TokenStates(tmp_path)
    assert again[first] is not None
    found = again[second]
    assert found is not None
    assert found.tolist() == [[2.0] * 4] * 5
    assert again[np.arange(7)] is None

"""A cross-encoder really learns, and a run that stopped goes on where it was."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cascade.errors import InvalidInputError
from cascade.inference.pair_encoder import PairEncoder, load_cross_encoder
from cascade.train.cross_encoder import CrossEncoderRecipe, prepare_lists, train_cross_encoder
from cascade.train.data import read_collection
from cascade.train.development import Development
from cascade.train.fitting import Schedule


@pytest.fixture
def recipe(tiny_bert: Path) -> CrossEncoderRecipe:
    return CrossEncoderRecipe(
        base=str(tiny_bert),
        teacher=str(tiny_bert),
        max_length=32,
        teacher_max_length=32,
        schedule=Schedule(lists_per_batch=4, learning_rate=5e-3, bf16=False, checkpoint_steps=1),
    )


def for_steps(recipe: CrossEncoderRecipe, steps: int) -> CrossEncoderRecipe:
    return replace(recipe, schedule=replace(recipe.schedule, steps=steps))


def _log(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]


def test_a_run_learns_and_its_model_loads(
    beir_folder: Path, tiny_bert: Path, tmp_path: Path, recipe: CrossEncoderRecipe
) -> None:
    out = tmp_path / "run"
    development = Development(beir_folder, "test", depth=5, every_steps=2)
    folder = train_cross_encoder([beir_folder], out, for_steps(recipe, 2), development=development)

    model = load_cross_encoder(str(folder))
    trained, untrained = model[0].state_dict(), PairEncoder.graft(str(tiny_bert)).state_dict()
    moved = {name for name in trained if not torch.equal(trained[name], untrained[name])}
    assert {"gate", "head.weight"} < moved
    assert any("encoder.layer" in name for name in moved)
    assert not any("word_embeddings" in name for name in moved)
    assert len(model.predict([("what is tea", "tea facts"), ("what is tea", "rain")], show_progress_bar=False)) == 2
    assert [entry["eval_ndcg_at_10"] for entry in _log(out) if "eval_ndcg_at_10" in entry]
    assert (out / "curve.png").stat().st_size > 1000


def test_a_stopped_run_resumes_from_its_last_checkpoint(
    beir_folder: Path, tmp_path: Path, recipe: CrossEncoderRecipe
) -> None:
    out = tmp_path / "run"
    train_cross_encoder([beir_folder], out, for_steps(recipe, 1))
    before = torch.load(out / "checkpoints" / "checkpoint-1" / "optimizer.pt")["state"][0]["step"]
    train_cross_encoder([beir_folder], out, for_steps(recipe, 3), resume=True)
    after = torch.load(out / "checkpoints" / "checkpoint-3" / "optimizer.pt")["state"][0]["step"]
    assert (int(before), int(after)) == (1, 3)


def test_a_folder_with_checkpoints_is_not_overwritten(
    beir_folder: Path, tmp_path: Path, recipe: CrossEncoderRecipe
) -> None:
    (tmp_path / "run" / "checkpoints" / "checkpoint-1").mkdir(parents=True)
    with pytest.raises(InvalidInputError, match="already holds checkpoints"):
        train_cross_encoder([beir_folder], tmp_path / "run", recipe)


def test_resuming_without_a_checkpoint_is_refused(
    beir_folder: Path, tmp_path: Path, recipe: CrossEncoderRecipe
) -> None:
    with pytest.raises(InvalidInputError, match="no checkpoint to resume from"):
        train_cross_encoder([beir_folder], tmp_path / "run", recipe, resume=True)


def test_triples_without_negatives_get_those_of_bm25(
    beir_folder: Path, tmp_path: Path, recipe: CrossEncoderRecipe
) -> None:
    path = beir_folder / "triples.train.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for row in rows:
        del row["negative_ids"]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    queries = [{"_id": row["query_id"], "text": f"{row['query']} and not rain"} for row in rows]
    (beir_folder / "queries.jsonl").write_text("".join(json.dumps(q) + "\n" for q in queries), encoding="utf-8")
    mix = replace(recipe.mix, nearest=0, overlapping=2, random=0, echoes=0, near_misses=0, plain=0)
    lists = prepare_lists([beir_folder], tmp_path / "run", replace(recipe, mix=mix))
    rain = read_collection(beir_folder).texts["rain-0"]
    assert len(lists) == 12
    assert all(rain in item.documents for item in lists)


def test_graded_lists_are_learned_from(beir_folder: Path, tmp_path: Path, recipe: CrossEncoderRecipe) -> None:
    (beir_folder / "triples.train.jsonl").unlink()
    grades = [{"id": "tea-0", "grade": 3}, {"id": "tea-1", "grade": 1}, {"id": "rain-0", "grade": 0}]
    row = {"query_id": "q-tea", "query": "what is tea", "candidates": grades}
    (beir_folder / "listwise.train.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    mix = replace(recipe.mix, label_share=1.0)
    (only,) = prepare_lists([beir_folder], tmp_path / "run", replace(recipe, mix=mix))
    assert sorted(only.targets) == pytest.approx([0, 1 / 8, 7 / 8])


def test_judgments_alone_are_enough(beir_folder: Path, tmp_path: Path, recipe: CrossEncoderRecipe) -> None:
    (beir_folder / "triples.train.jsonl").unlink()
    (beir_folder / "qrels" / "test.tsv").rename(beir_folder / "qrels" / "train.tsv")
    assert len(prepare_lists([beir_folder], tmp_path / "run", recipe)) == 12


def test_a_collection_without_any_answer_is_refused(
    beir_folder: Path, tmp_path: Path, recipe: CrossEncoderRecipe
) -> None:
    (beir_folder / "triples.train.jsonl").unlink()
    with pytest.raises(InvalidInputError, match="no question is known to have an answer"):
        prepare_lists([beir_folder], tmp_path / "run", recipe)

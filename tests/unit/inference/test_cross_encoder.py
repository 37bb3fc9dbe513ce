"""The cross-encoder scores what it read, reports what it cut, and stops when told."""

from pathlib import Path

import pytest

from cascade.errors import ModelLoadError
from cascade.inference.cross_encoder import CrossEncoderModel
from cascade.inference.stepwise import run_through

QUERY = "how is bread made"
PASSAGES = ["Bread is baked.", "word " * 300, "", "Flour and water make dough, and an oven does the rest."]


@pytest.fixture(scope="module")
def model(tiny_cross_encoder: Path) -> CrossEncoderModel:
    model = CrossEncoderModel(str(tiny_cross_encoder), device="cpu")
    model.ensure_loaded()
    return model


def test_scores_do_not_depend_on_the_batch(model: CrossEncoderModel) -> None:
    alone = [model.score_pairs(QUERY, [p], max_length=64, max_batch_tokens=64).scores[0] for p in PASSAGES]
    together = model.score_pairs(QUERY, PASSAGES, max_length=64, max_batch_tokens=4096).scores
    assert together == pytest.approx(alone, abs=1e-5)


def test_scores_equal_the_librarys_own(model: CrossEncoderModel, tiny_cross_encoder: Path) -> None:
    from sentence_transformers import CrossEncoder

    library = CrossEncoder(str(tiny_cross_encoder), device="cpu", max_length=64)
    expected = library.predict([(QUERY, p) for p in PASSAGES], show_progress_bar=False)
    ours = model.score_pairs(QUERY, PASSAGES, max_length=64, max_batch_tokens=256).scores
    assert ours == pytest.approx([float(e) for e in expected], abs=1e-5)


@pytest.mark.parametrize("query", ["short", "long " * 100])
def test_what_was_cut_is_what_the_tokenizer_cuts(model: CrossEncoderModel, query: str) -> None:
    pairs = model.score_pairs(query, PASSAGES, max_length=64, max_batch_tokens=4096)
    tokenizer = model._model.tokenizer
    for passage, (seen, total) in zip(PASSAGES, pairs.seen, strict=True):
        encoded = tokenizer(query, passage, truncation=True, max_length=64)
        assert seen == encoded.sequence_ids().count(1)
        assert total == len(tokenizer(passage, add_special_tokens=False)["input_ids"])


def test_a_length_beyond_what_the_model_can_read_is_cut_and_told(model: CrossEncoderModel) -> None:
    pairs = model.score_pairs(QUERY, ["word " * 2000], max_length=1024, max_batch_tokens=4096)
    ((seen, total),) = pairs.seen
    assert total == 2000
    assert seen < pairs.tokens == model._model.max_seq_length < 1024


def test_every_batch_is_observed_with_its_tokens(tiny_cross_encoder: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    model = CrossEncoderModel("m", device="cpu", on_batch=lambda *batch: seen.append(batch))
    model.reference = str(tiny_cross_encoder)
    model.ensure_loaded()
    seen.clear()
    pairs = model.score_pairs(QUERY, PASSAGES, max_length=64, max_batch_tokens=128)
    assert sum(items for _, items, _ in seen) == len(PASSAGES)
    assert sum(tokens for _, _, tokens in seen) == pairs.tokens
    assert len(seen) > 1


def test_a_model_that_was_only_tested_is_not_known_to_be_slow(tiny_cross_encoder: Path) -> None:
    model = CrossEncoderModel(str(tiny_cross_encoder), device="cpu")
    model.ensure_loaded()
    assert model.cost.seconds(1_000_000) == 0
    model.score_pairs(QUERY, PASSAGES, max_length=64, max_batch_tokens=256)
    assert model.cost.seconds(1_000_000) > 0


def test_others_have_their_turn_between_two_batches(model: CrossEncoderModel) -> None:
    lengths = (64, 24)
    whole = [model.score_pairs(QUERY, PASSAGES, max_length=length, max_batch_tokens=64) for length in lengths]
    both = [model.scoring_pairs(QUERY, PASSAGES, max_length=length, max_batch_tokens=64) for length in lengths]
    batches = [next(steps) for _ in range(2) for steps in both]
    assert [run_through(steps) for steps in both] == whole
    assert max(batches) <= 64


def test_a_step_on_a_processor_is_no_larger_than_others_should_wait_for(model: CrossEncoderModel) -> None:
    steps = model.scoring_pairs(QUERY, ["word " * 60] * 40, max_length=64, max_batch_tokens=100_000)
    batches = list(steps)
    assert len(batches) == 5
    assert set(batches) == {512}


def test_a_model_with_several_outputs_is_refused(tiny_cross_encoder: Path, tmp_path: Path) -> None:
    import shutil

    from transformers import BertConfig, BertForSequenceClassification

    shutil.copytree(tiny_cross_encoder, tmp_path, dirs_exist_ok=True)
    config = BertConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, num_labels=3)
    BertForSequenceClassification(config).save_pretrained(tmp_path)
    with pytest.raises(ModelLoadError, match="3 outputs, expected 1"):
        CrossEncoderModel(str(tmp_path), device="cpu").ensure_loaded()


async def test_a_path_that_does_not_exist_is_named_and_stays_a_problem() -> None:
    model = CrossEncoderModel("./no/such/folder")
    for _ in range(2):
        with pytest.raises(ModelLoadError, match="no/such/folder"):
            await model.warm_up()
    assert not model.status.ready
    assert "no/such/folder" in model.status.problem
    await model.aclose()


async def test_a_folder_without_a_model_is_explained(tmp_path: Path) -> None:
    model = CrossEncoderModel(str(tmp_path))
    with pytest.raises(ModelLoadError, match="expected"):
        await model.warm_up()
    await model.aclose()

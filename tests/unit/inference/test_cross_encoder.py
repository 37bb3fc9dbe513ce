"""The cross-encoder scores what it read, reports what it cut, and stops when told."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from sentence_transformers import CrossEncoder
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    ElectraConfig,
    ElectraForSequenceClassification,
    PreTrainedModel,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from cascade.errors import ModelLoadError
from cascade.inference.cross_encoder import CrossEncoderModel
from cascade.inference.rows import Rows
from cascade.inference.scored import Scored
from cascade.inference.stepwise import Stepwise
from cascade.inference.tokenised import TokenisedText
from cascade.inference.towers.tower import BackendName

QUERY = "how is bread made"
PASSAGES = ["Bread is baked.", "word " * 300, "", "Flour and water make dough, and an oven does the rest."]


@pytest.fixture(scope="module")
def model(tiny_cross_encoder: Path) -> CrossEncoderModel:
    model = CrossEncoderModel(str(tiny_cross_encoder), device="cpu", backend="torch-fp32")
    model.ensure_loaded()
    return model


def test_scores_do_not_depend_on_the_batch(model: CrossEncoderModel) -> None:
    alone = [model.score_pairs(QUERY, [p], max_length=64, max_batch_tokens=64).scores[0] for p in PASSAGES]
    together = model.score_pairs(QUERY, PASSAGES, max_length=64, max_batch_tokens=4096).scores
    assert together == pytest.approx(alone, abs=1e-5)


def test_scores_equal_the_librarys_own(model: CrossEncoderModel, tiny_cross_encoder: Path) -> None:
    library = CrossEncoder(str(tiny_cross_encoder), device="cpu", max_length=64)
    expected = library.predict([(QUERY, p) for p in PASSAGES], show_progress_bar=False)
    ours = model.score_pairs(QUERY, PASSAGES, max_length=64, max_batch_tokens=256).scores
    assert ours == pytest.approx([float(e) for e in expected], abs=1e-5)


@pytest.mark.parametrize("query", ["short", "long " * 100])
def test_what_was_cut_is_what_the_tokenizer_cuts(
    model: CrossEncoderModel, tiny_cross_encoder: Path, query: str
) -> None:
    pairs = model.score_pairs(query, PASSAGES, max_length=64, max_batch_tokens=4096)
    tokenizer = AutoTokenizer.from_pretrained(tiny_cross_encoder)
    for passage, (seen, total) in zip(PASSAGES, pairs.seen, strict=True):
        encoded = tokenizer(query, passage, truncation=True, max_length=64)
        assert seen == encoded.sequence_ids().count(1)
        assert total == len(tokenizer(passage, add_special_tokens=False)["input_ids"])


def test_a_length_beyond_what_the_model_can_read_is_cut_and_told(
    model: CrossEncoderModel, tiny_cross_encoder: Path
) -> None:
    pairs = model.score_pairs(QUERY, ["word " * 2000], max_length=1024, max_batch_tokens=4096)
    ((seen, total),) = pairs.seen
    assert total == 2000
    assert seen < pairs.tokens == CrossEncoder(str(tiny_cross_encoder), device="cpu").max_seq_length < 1024


def test_every_batch_is_observed_with_its_tokens(tiny_cross_encoder: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    folder = str(tiny_cross_encoder)
    model = CrossEncoderModel(folder, device="cpu", backend="torch-fp32", on_batch=lambda *batch: seen.append(batch))
    model.ensure_loaded()
    seen.clear()
    pairs = model.score_pairs(QUERY, PASSAGES, max_length=64, max_batch_tokens=64)
    assert sum(items for _, items, _ in seen) == len(PASSAGES)
    assert sum(tokens for _, _, tokens in seen) == pairs.tokens
    assert len(seen) > 1


def test_a_model_that_was_only_tested_is_not_known_to_be_slow(tiny_cross_encoder: Path) -> None:
    model = CrossEncoderModel(str(tiny_cross_encoder), device="cpu", backend="torch-fp32")
    model.ensure_loaded()
    assert model.cost.seconds(1_000_000) == 0
    model.score_pairs(QUERY, PASSAGES, max_length=64, max_batch_tokens=256)
    assert model.cost.seconds(1_000_000) > 0


def _rows(steps: Stepwise[Scored]) -> Rows[Any, Any]:
    """What the work wants run."""
    found = next(steps)
    assert isinstance(found, Rows)
    return found


def test_pairs_of_several_callers_share_a_lane(model: CrossEncoderModel) -> None:
    steps = [model.scoring_pairs(query, PASSAGES, max_length=64, max_batch_tokens=512) for query in (QUERY, "bread")]
    first, second = (_rows(one) for one in steps)
    assert first.lane is second.lane
    results = first.lane.run([*second.rows, *first.rows])
    expected = model.score_pairs(QUERY, PASSAGES, max_length=64, max_batch_tokens=512).scores
    assert results[len(PASSAGES) :] == pytest.approx(expected, abs=1e-5)


def test_a_step_on_a_processor_is_no_larger_than_others_should_wait_for(model: CrossEncoderModel) -> None:
    rows = _rows(model.scoring_pairs(QUERY, ["word " * 60] * 40, max_length=64, max_batch_tokens=100_000))
    assert rows.lengths == [64] * 40
    assert rows.lane.most_tokens == 512


def test_token_ids_score_as_their_texts(model: CrossEncoderModel) -> None:
    tokeniser = model.tokeniser()
    assert tokeniser is not None
    texts = model.score_pairs(QUERY, PASSAGES, max_length=64, max_batch_tokens=512)
    (query,) = tokeniser([QUERY])
    mixed: list[str | TokenisedText] = [*tokeniser(PASSAGES[:2]), *PASSAGES[2:]]
    assert model.score_pairs(query, mixed, max_length=64, max_batch_tokens=512) == texts


@pytest.mark.parametrize("deterministic", [False, True])
def test_a_deterministic_model_gives_the_same_bits_in_any_company(
    tiny_cross_encoder: Path, deterministic: bool
) -> None:
    model = CrossEncoderModel(str(tiny_cross_encoder), device="cpu", backend="torch-fp32", deterministic=deterministic)
    model.ensure_loaded()
    alone = [model.score_pairs(QUERY, [p], max_length=64, max_batch_tokens=64).scores[0] for p in PASSAGES]
    together = model.score_pairs(QUERY, PASSAGES, max_length=64, max_batch_tokens=4096).scores
    assert list(together) == alone if deterministic else together == pytest.approx(alone, abs=1e-5)


def _pair_classifiers() -> dict[str, PreTrainedModel]:
    torch.manual_seed(0)
    shape: dict[str, Any] = {"num_labels": 1, "initializer_range": 0.2, "pad_token_id": 0}
    sizes: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    sizes |= {"intermediate_size": 64, "max_position_embeddings": 96, **shape}
    small: dict[str, Any] = {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64, **shape}
    return {
        "bert": BertForSequenceClassification(BertConfig(**sizes)),
        "roberta": RobertaForSequenceClassification(RobertaConfig(vocab_size=30522, type_vocab_size=2, **sizes)),
        "distilbert": DistilBertForSequenceClassification(DistilBertConfig(max_position_embeddings=96, **small)),
        "electra": ElectraForSequenceClassification(ElectraConfig(embedding_size=32, **sizes)),
    }


@pytest.mark.parametrize(
    ("name", "backend"),
    [("bert", "torch-bf16"), ("roberta", "torch-bf16"), ("distilbert", "torch-bf16"), ("electra", None)],
)
def test_models_whose_parts_are_known_run_on_other_backends_and_the_rest_as_their_library(
    tiny_cross_encoder: Path, tmp_path: Path, name: str, backend: BackendName | None
) -> None:
    _pair_classifiers()[name].save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_cross_encoder).save_pretrained(tmp_path)
    library = CrossEncoder(str(tmp_path), device="cpu", max_length=64)
    expected = [float(one) for one in library.predict([(QUERY, p) for p in PASSAGES], show_progress_bar=False)]
    model = CrossEncoderModel(str(tmp_path), device="cpu", backend="torch-fp32")
    model.ensure_loaded()
    assert model.status.backend == "torch-fp32"
    assert bool(model.tokenizer_fingerprint) == (backend is not None)
    found = model.score_pairs(QUERY, PASSAGES, max_length=64, max_batch_tokens=256)
    assert found.scores == pytest.approx(expected, abs=1e-5)
    other = CrossEncoderModel(str(tmp_path), device="cpu", backend=backend or "torch-bf16")
    if backend is None:
        with pytest.raises(ModelLoadError, match="only its own library runs"):
            other.ensure_loaded()
    else:
        other.ensure_loaded()
        assert other.status.backend == backend
        rounded = other.score_pairs(QUERY, PASSAGES, max_length=64, max_batch_tokens=256)
        assert rounded.scores == pytest.approx(expected, abs=0.05)
        assert rounded.seen == found.seen


def test_a_model_with_several_outputs_is_refused(tiny_cross_encoder: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_cross_encoder, tmp_path, dirs_exist_ok=True)
    shape: dict[str, Any] = {
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 64,
    }
    config = BertConfig(**{**shape, "num_labels": 3})
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

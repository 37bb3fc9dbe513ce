"""A pair encoder starts as its bi-encoder, scores each pair for itself, and says what it read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from sentence_transformers import CrossEncoder

from cascade.errors import ModelLoadError
from cascade.inference.cross_encoder import CrossEncoderModel
from cascade.inference.pair_encoder import PairEncoder, as_cross_encoder, load_cross_encoder
from cascade.inference.pair_heads import GatedHead
from cascade.inference.towers.backbone import backbone_of_pairs
from cascade.inference.towers.strip import Strip
from cascade.inference.towers.torch_tower import TorchTower

QUERY = "what is tea"
PASSAGES = ["tea", "some facts about tea and milk and more", "rain", "iron " * 40]


@pytest.fixture(scope="module")
def grafted(tiny_bert: Path) -> PairEncoder:
    return PairEncoder.graft(str(tiny_bert), max_seq_length=64).eval()


@pytest.fixture(scope="module")
def folder(grafted: PairEncoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pair-encoder")
    as_cross_encoder(grafted).save_pretrained(str(folder), create_model_card=False)
    return folder


@pytest.fixture(scope="module")
def served(folder: Path) -> CrossEncoderModel:
    model = CrossEncoderModel(str(folder), device="cpu", backend="torch-fp32")
    model.ensure_loaded()
    return model


def _module(model: CrossEncoder) -> PairEncoder:
    module = model[0]
    assert isinstance(module, PairEncoder)
    return module


def test_scores_equal_those_of_its_own_forward(served: CrossEncoderModel, folder: Path) -> None:
    library = load_cross_encoder(str(folder))
    module = _module(library)
    torch.nn.init.normal_(module.head.weight)
    expected = library.predict([(QUERY, passage) for passage in PASSAGES], show_progress_bar=False)
    backbone, head = backbone_of_pairs(module), GatedHead(module)
    tokeniser = served.tokeniser()
    assert tokeniser is not None
    asked, *read = tokeniser([QUERY, *PASSAGES])
    strip = Strip.of([head.tokens(asked.ids, passage.ids[:50]) for passage in read])
    assert head.scores(TorchTower(backbone).states(strip), strip) == pytest.approx(expected.tolist(), abs=1e-5)
    found = served.score_pairs(QUERY, PASSAGES, max_length=64, max_batch_tokens=4096).scores
    expected = load_cross_encoder(str(folder)).predict([(QUERY, passage) for passage in PASSAGES])
    assert found == pytest.approx(expected.tolist(), abs=1e-5)


def test_with_its_gates_shut_it_scores_by_the_bi_encoders_cosine(tiny_bert: Path) -> None:
    module = PairEncoder.graft(str(tiny_bert)).eval()
    torch.nn.init.constant_(module.gate, -1e4)
    with torch.inference_mode():
        (score,) = module(module.preprocess([(QUERY, PASSAGES[1])]))["scores"][0].tolist()
        vectors = []
        for text in (QUERY, PASSAGES[1]):
            states = module.bert(**cast("Any", module.tokenizer)(text, return_tensors="pt")).last_hidden_state
            vectors.append(states.mean(dim=1))
    assert score == pytest.approx(20 * float(torch.cosine_similarity(*vectors)), abs=1e-4)


def test_the_prompts_of_the_bi_encoder_stand_before_the_texts(tiny_bert: Path, tmp_path: Path) -> None:
    base, saved = tmp_path / "base", tmp_path / "saved"
    shutil.copytree(tiny_bert, base)
    prompts = {"prompts": {"query": "what is ", "document": "facts: "}}
    (base / "config_sentence_transformers.json").write_text(json.dumps(prompts), encoding="utf-8")
    prompted, plain = PairEncoder.graft(str(base)).eval(), PairEncoder.graft(str(tiny_bert)).eval()
    as_cross_encoder(prompted).save_pretrained(str(saved), create_model_card=False)

    with torch.inference_mode():
        (expected,) = plain(plain.preprocess([("what is tea", "facts: milk")]))["scores"][0].tolist()
        (found,) = prompted(prompted.preprocess([("tea", "milk")]))["scores"][0].tolist()
    served = CrossEncoderModel(str(saved), device="cpu", backend="torch-fp32")
    served.ensure_loaded()
    scored = served.score_pairs("tea", ["milk"], max_length=64, max_batch_tokens=64)

    assert found == pytest.approx(expected, abs=1e-5)
    assert scored.scores == pytest.approx([expected], abs=1e-5)
    assert scored.tokens == len(prompted.preprocess([("tea", "milk")])["input_ids"][0])


def test_a_score_does_not_depend_on_the_batch(served: CrossEncoderModel) -> None:
    alone = [served.score_pairs(QUERY, [p], max_length=64, max_batch_tokens=64).scores[0] for p in PASSAGES]
    together = served.score_pairs(QUERY, PASSAGES, max_length=64, max_batch_tokens=4096).scores
    assert together == pytest.approx(alone, abs=1e-4)


def test_reduced_precision_moves_scores_little(served: CrossEncoderModel, folder: Path) -> None:
    exact = served.score_pairs(QUERY, PASSAGES, max_length=64, max_batch_tokens=4096).scores
    reduced = CrossEncoderModel(str(folder), device="cpu", backend="torch-bf16")
    reduced.ensure_loaded()
    rounded = reduced.score_pairs(QUERY, PASSAGES, max_length=64, max_batch_tokens=4096).scores
    assert rounded == pytest.approx(exact, abs=0.5)


@pytest.mark.parametrize("query", ["tea", "what is tea " * 30])
def test_what_was_cut_is_told(served: CrossEncoderModel, folder: Path, query: str) -> None:
    found = served.score_pairs(query, PASSAGES, max_length=32, max_batch_tokens=4096)
    module = _module(load_cross_encoder(str(folder)))
    module.max_seq_length = 32
    tokens = 0
    for passage, (seen, total) in zip(PASSAGES, found.seen, strict=True):
        features = module.preprocess([(query, passage)])
        tokens += features["input_ids"].shape[1]
        assert seen == int((features["segments"] == 1).sum()) - 2
        assert total == len(passage.split())
    assert found.tokens == tokens


def test_no_more_is_read_than_it_was_trained_with(served: CrossEncoderModel) -> None:
    found = served.score_pairs(QUERY, ["tea " * 300], max_length=512, max_batch_tokens=4096)
    assert found.tokens == 64


def test_it_comes_back_from_its_folder_as_it_was(grafted: PairEncoder, folder: Path) -> None:
    again = _module(load_cross_encoder(str(folder)))
    assert again.max_seq_length == 64
    mine, loaded = grafted.state_dict(), again.state_dict()
    assert mine.keys() == loaded.keys()
    assert all(torch.equal(mine[name], loaded[name]) for name in mine)


def test_a_student_keeps_the_layers_it_is_told(tiny_bert: Path) -> None:
    whole, student = PairEncoder.graft(str(tiny_bert)), PairEncoder.graft(str(tiny_bert), layers=[1])
    kept = student.bert.encoder.layer
    assert len(kept) == len(student.gate) == student.bert.config.num_hidden_layers == 1
    name = "attention.self.query.weight"
    assert torch.equal(kept[0].state_dict()[name], whole.bert.encoder.layer[1].state_dict()[name])


def test_gates_learn(tiny_bert: Path) -> None:
    module = PairEncoder.graft(str(tiny_bert))
    module(module.preprocess([(QUERY, PASSAGES[1]), (QUERY, PASSAGES[2])]))["scores"].diff(dim=0).sum().backward()
    assert module.gate.grad is not None
    assert bool(module.gate.grad.any())


def test_another_architecture_is_not_grafted(tiny_lm: Path) -> None:
    with pytest.raises(ModelLoadError, match="found the architecture 'llama', expected 'bert'"):
        PairEncoder.graft(str(tiny_lm))

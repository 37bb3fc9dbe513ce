"""A pair encoder starts as its bi-encoder, scores each pair for itself, and says what it read."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cascade.errors import ModelLoadError
from cascade.inference.cross_encoder import CrossEncoderModel
from cascade.inference.pair_encoder import PairEncoder, as_cross_encoder, load_cross_encoder

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
    model = CrossEncoderModel(str(folder), device="cpu")
    model.ensure_loaded()
    model._dtype = torch.float32
    return model


def test_with_its_gates_shut_it_scores_by_the_bi_encoders_cosine(tiny_bert: Path) -> None:
    module = PairEncoder.graft(str(tiny_bert)).eval()
    torch.nn.init.constant_(module.gate, -1e4)
    with torch.inference_mode():
        (score,) = module(module.preprocess([(QUERY, PASSAGES[1])]))["scores"][0].tolist()
        vectors = []
        for text in (QUERY, PASSAGES[1]):
            states = module.bert(**module.tokenizer(text, return_tensors="pt")).last_hidden_state
            vectors.append(states.mean(dim=1))
    assert score == pytest.approx(20 * float(torch.cosine_similarity(*vectors)), abs=1e-4)


def test_a_score_does_not_depend_on_the_batch(served: CrossEncoderModel) -> None:
    alone = [served.score_pairs(QUERY, [p], max_length=64, max_batch_tokens=64).scores[0] for p in PASSAGES]
    together = served.score_pairs(QUERY, PASSAGES, max_length=64, max_batch_tokens=4096).scores
    assert together == pytest.approx(alone, abs=1e-4)


def test_reduced_precision_moves_scores_little(served: CrossEncoderModel, folder: Path) -> None:
    exact = served.score_pairs(QUERY, PASSAGES, max_length=64, max_batch_tokens=4096).scores
    reduced = CrossEncoderModel(str(folder), device="cpu")
    reduced.ensure_loaded()
    reduced._dtype = torch.bfloat16
    rounded = reduced.score_pairs(QUERY, PASSAGES, max_length=64, max_batch_tokens=4096).scores
    assert rounded == pytest.approx(exact, abs=0.5)


@pytest.mark.parametrize("query", ["tea", "what is tea " * 30])
def test_what_was_cut_is_told(served: CrossEncoderModel, query: str) -> None:
    found = served.score_pairs(query, PASSAGES, max_length=32, max_batch_tokens=4096)
    module = served._model[0]
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
    again = load_cross_encoder(str(folder))[0]
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

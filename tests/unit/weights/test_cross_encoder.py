"""The embedded cross-encoders are small on disk, complete once materialised, and rank."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cascade.errors import ModelLoadError
from cascade.inference.pair_encoder import PairEncoder, as_cross_encoder, load_cross_encoder
from cascade.weights import cross_encoder, resolve

LAYERS = {"cross-encoder": 6, "cross-encoder-l12": 12, "cross-encoder-l3": 3}


@pytest.mark.parametrize(("name", "layers"), LAYERS.items())
def test_what_is_shipped_takes_a_byte_for_each_weight_of_a_layer(name: str, layers: int) -> None:
    assert sum(path.stat().st_size for path in (cross_encoder.SHIPPED / name).iterdir()) < layers * 1_900_000


@pytest.mark.parametrize(("name", "layers"), LAYERS.items())
def test_an_embedded_model_loads_and_puts_the_answer_first(name: str, layers: int) -> None:
    model = load_cross_encoder(str(resolve(f"embedded:{name}")))
    query = "when was the eiffel tower built"
    passages = [
        "The Eiffel Tower was constructed from 1887 to 1889 for the World's Fair in Paris.",
        "The Eiffel Tower is repainted every seven years, which takes sixty tons of paint.",
        "A cross join returns every pair of rows of two tables.",
    ]
    scores = model.predict([(query, passage) for passage in passages], show_progress_bar=False)
    assert list(scores) == sorted(scores, reverse=True)
    assert len(model[0].bert.encoder.layer) == layers


def test_a_trained_model_of_few_layers_comes_back_from_what_is_shipped(tiny_bert: Path, tmp_path: Path) -> None:
    module = PairEncoder.graft(str(tiny_bert), layers=[1], max_seq_length=32)
    torch.manual_seed(4)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += torch.randn_like(parameter) * 1e-3
    trained, shipped, restored = tmp_path / "trained", tmp_path / "shipped", tmp_path / "restored"
    _save(module, trained)
    size = cross_encoder.ship(trained, str(tiny_bert), shipped)
    restored.mkdir()
    cross_encoder.restore(tiny_bert, shipped, restored)

    assert size < (trained / "model.safetensors").stat().st_size / 2
    before, after = load_file(trained / "model.safetensors"), load_file(restored / "model.safetensors")
    assert before.keys() == after.keys()
    assert max(float((before[name] - after[name]).abs().max()) for name in before) < 2e-3
    pairs = [("what is tea", "facts about tea"), ("what is rain", "wool")]
    models = [load_cross_encoder(str(folder)) for folder in (trained, restored)]
    one, two = (model.predict(pairs, show_progress_bar=False) for model in models)
    assert two == pytest.approx(one, abs=0.05)


def test_another_kind_of_cross_encoder_is_not_packed(tiny_cross_encoder: Path, tiny_bert: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match="expected the folder of a trained pair encoder"):
        cross_encoder.ship(tiny_cross_encoder, str(tiny_bert), tmp_path)


def test_missing_shipped_files_tell_to_reinstall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross_encoder, "SHIPPED", tmp_path)
    with pytest.raises(ModelLoadError, match=r"no difference\.safetensors .* reinstall"):
        cross_encoder.materialise(tmp_path / "cache")


def _save(module: PairEncoder, folder: Path) -> None:
    as_cross_encoder(module).save_pretrained(str(folder), create_model_card=False)

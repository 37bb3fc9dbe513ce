"""The embedded late interaction model is small on disk, complete once materialised, and ranks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from cascade.errors import ModelLoadError
from cascade.inference.multi_vector import MultiVectorModel
from cascade.weights import late_interaction, resolve


def test_what_is_shipped_is_small() -> None:
    files = [path for path in late_interaction.SHIPPED.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 15_000_000
    assert late_interaction.SHIPPED / "README.md" in files


def test_the_embedded_model_loads_and_puts_the_answer_first_from_texts_and_from_stored_vectors(tmp_path: Path) -> None:
    model = MultiVectorModel(str(resolve("embedded:late-interaction", cache_root=tmp_path)), device="cpu")
    model.ensure_loaded()
    query = "when was the eiffel tower built"
    passages = [
        "The Eiffel Tower was constructed from 1887 to 1889 for the World's Fair in Paris.",
        "The Eiffel Tower is repainted every seven years, which takes sixty tons of paint.",
        "A cross join returns every pair of rows of two tables.",
    ]
    texts = model.score_documents(query, passages).scores
    assert list(texts) == sorted(texts, reverse=True)
    stored = model.encode_documents(passages)
    assert stored[0].vectors.shape[1] == model.dimensions == 128
    lengths = np.linalg.norm(stored[0].vectors * stored[0].scale[:, None], axis=1)
    assert lengths.tolist() == pytest.approx([1.0] * len(lengths), abs=0.01)
    assert model.score_documents(query, stored).scores == pytest.approx(texts, abs=5e-3)


def test_a_trained_model_comes_back_from_what_is_shipped(tiny_bert: Path, tmp_path: Path) -> None:
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.base.modules import Dense, Normalize, Transformer
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

    torch.manual_seed(4)
    transformer = Transformer(str(tiny_bert))
    with torch.no_grad():
        for parameter in transformer.model.encoder.layer[-1].parameters():
            parameter += torch.randn_like(parameter) * 1e-3
    dense = Dense(16, 8, bias=False, activation_function=torch.nn.Identity(), module_input_name="token_embeddings")
    parts = [transformer, dense, MultiVectorMask(), Normalize(module_input_name="token_embeddings")]
    trained, shipped, restored = tmp_path / "trained", tmp_path / "shipped", tmp_path / "restored"
    MultiVectorEncoder(modules=parts, device="cpu").save_pretrained(str(trained), create_model_card=False)
    assert late_interaction.is_one(trained)
    size = late_interaction.ship(trained, tiny_bert, shipped)
    restored.mkdir()
    late_interaction.restore(tiny_bert, shipped, restored)

    assert size < (trained / "model.safetensors").stat().st_size / 2
    for name in ("model.safetensors", "1_Dense/model.safetensors"):
        before, after = load_file(trained / name), load_file(restored / name)
        assert before.keys() == after.keys()
        assert max(float((before[tensor] - after[tensor]).abs().max()) for tensor in before) < 1e-3
    texts = ["facts about tea", "wool"]
    one, two = (MultiVectorModel(str(folder), device="cpu") for folder in (trained, restored))
    one.ensure_loaded()
    two.ensure_loaded()
    expected = one.score_documents("what is tea", texts).scores
    assert two.score_documents("what is tea", texts).scores == pytest.approx(expected, abs=0.01)


def test_missing_shipped_files_tell_to_reinstall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_interaction, "SHIPPED", tmp_path)
    with pytest.raises(ModelLoadError, match=r"no difference\.safetensors .* reinstall"):
        late_interaction.materialise(tmp_path / "cache")

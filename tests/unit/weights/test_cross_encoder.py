"""The embedded cross-encoder is small on disk, complete once materialised, and ranks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from sentence_transformers import CrossEncoder

from cascade.errors import ModelLoadError
from cascade.weights import cross_encoder, resolve


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return resolve("embedded:cross-encoder", cache_root=tmp_path_factory.mktemp("cache"))


def test_what_is_shipped_is_small() -> None:
    assert sum(path.stat().st_size for path in cross_encoder.SHIPPED.iterdir()) < 12_000_000


def test_the_model_loads_and_puts_the_answer_first(folder: Path) -> None:
    model = CrossEncoder(str(folder), device="cpu")
    query = "when was the eiffel tower built"
    passages = [
        "The Eiffel Tower was constructed from 1887 to 1889 for the World's Fair in Paris.",
        "The Eiffel Tower is repainted every seven years, which takes sixty tons of paint.",
        "A cross join returns every pair of rows of two tables.",
    ]
    scores = model.predict([(query, passage) for passage in passages])
    assert list(scores) == sorted(scores, reverse=True)
    assert model.max_seq_length == 128
    assert isinstance(model.activation_fn, torch.nn.Identity)


def test_packing_the_materialised_model_again_loses_nothing(folder: Path, tmp_path: Path) -> None:
    base = resolve("embedded:all-minilm-l6-v2")
    cross_encoder.ship(folder, base, tmp_path / "shipped")
    (tmp_path / "again").mkdir()
    cross_encoder.restore(base, tmp_path / "shipped", tmp_path / "again")
    before = load_file(folder / "model.safetensors")
    after = load_file(tmp_path / "again" / "model.safetensors")
    assert before.keys() == after.keys()
    assert max(float((before[name] - after[name]).abs().max()) for name in before) < 1e-4


def test_missing_shipped_files_tell_to_reinstall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross_encoder, "SHIPPED", tmp_path)
    with pytest.raises(ModelLoadError, match=r"no difference\.safetensors .* reinstall"):
        cross_encoder.materialise(tmp_path / "cache")

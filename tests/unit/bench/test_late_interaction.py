"""The bench of MaxSim, in the smallest size: who takes part, and that all compute the same; never how fast."""

import json
from pathlib import Path

import pytest

from cascade.bench import late_interaction
from cascade.bench.options import Options

_TEXTS = [
    "Tea is made of the leaves of a shrub that grows on hills.",
    "Rain falls when clouds can hold no more water.",
    "Glass is made of sand that was molten in a furnace, and then cooled slowly so that it does not crack.",
    "Salt is left behind where the water of the sea dries.",
]


@pytest.fixture
def options(tmp_path: Path) -> Options:
    corpus = (json.dumps({"_id": f"d{n}", "title": "", "text": text}) for n, text in enumerate(_TEXTS))
    (tmp_path / "corpus.jsonl").write_text("\n".join(corpus), encoding="utf-8")
    queries = (json.dumps({"_id": f"q{n}", "text": text}) for n, text in enumerate(("what is tea", "how salt is made")))
    (tmp_path / "queries.jsonl").write_text("\n".join(queries), encoding="utf-8")
    return Options(rounds=2, collection=tmp_path, quick=True)


def test_maxsim_is_compared_with_pytorch_over_the_same_vectors(
    options: Options, tiny_multi_vector: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late_interaction, "REFERENCE", str(tiny_multi_vector))
    monkeypatch.setattr(late_interaction, "BACKEND", "torch-fp32")
    found = late_interaction.bench(options, lambda line: None)
    assert {peer.speed.name for peer in found.peers} == {"PyTorch einsum", "PyTorch einsum, masked"}
    assert {peer.ours for peer in found.peers} == {"cascade", "cascade, fp32"}
    assert all(0 < peer.ratio.low <= peer.ratio.high for peer in found.peers)
    assert found.quality["largest_difference_fp32"] < 1e-5
    assert found.quality["largest_difference"] < 5e-3
    assert found.quality["kendall_tau"] > 0.9
    assert found.quality["texts"]["documents"] == 16
    json.dumps(found.to_json(), allow_nan=False)

"""The benches of encoders, in the smallest size: who takes part, and what is told of them; never how fast."""

import json
from pathlib import Path

import pytest

from cascade.bench import backends, bi_encoder, cross_encoder
from cascade.bench.options import Options
from cascade.bench.result import Result
from cascade.inference.towers import native

ROWS = {
    "tea": "Tea is made of the leaves of a shrub that grows on hills.",
    "rain": "Rain falls when clouds can hold no more water.",
    "glass": "Glass is made of sand that was molten in a furnace.",
    "iron": "Iron is melted out of ore with coke and limestone.",
    "silk": "Silk is spun by caterpillars that eat mulberry leaves.",
    "salt": "Salt is left behind where the water of the sea dries.",
}


def silent(line: str) -> None:
    """Nobody reads what a bench tells."""


@pytest.fixture
def options(tmp_path: Path) -> Options:
    folder = tmp_path / "materials"
    folder.mkdir()
    corpus = (json.dumps({"_id": doc_id, "title": "", "text": text}) for doc_id, text in ROWS.items())
    (folder / "corpus.jsonl").write_text("\n".join(corpus), encoding="utf-8")
    queries = (json.dumps({"_id": doc_id, "text": f"what is {doc_id} made of"}) for doc_id in ROWS)
    (folder / "queries.jsonl").write_text("\n".join(queries), encoding="utf-8")
    return Options(rounds=2, collection=folder, quick=True)


def shape(found: Result) -> None:
    """What holds of every bench's result, as programs read it."""
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert {"name", "ours", "peers", "quality", "machine"} <= told.keys()
    for peer in told["peers"]:
        assert peer["version"]
        assert 0 < peer["ratio"]["low"] <= peer["ratio"]["median"] <= peer["ratio"]["high"]
    assert told["machine"]["threads"] == 1


def test_the_cross_encoder_is_compared_with_its_library_on_the_same_weights(options: Options) -> None:
    found = cross_encoder.bench(options, silent)
    shape(found)
    assert {peer.speed.name for peer in found.peers} == {
        "sentence-transformers",
        "sentence-transformers, plain BERT",
        "sentence-transformers, bf16",
    }
    named = {"cascade, native-int8", "cascade, native-int8, plain BERT"} if native.available() else set()
    assert {peer.ours for peer in found.peers} == {"cascade", "cascade, stored token ids", *named}
    assert min(found.quality["kendall_tau"].values()) > 0.5
    assert any("not installed: " in note and "FlashRank" in note for note in found.notes)


def test_the_bi_encoder_is_compared_with_its_library(options: Options) -> None:
    found = bi_encoder.bench(options, silent)
    shape(found)
    assert [peer.speed.name for peer in found.peers] == ["sentence-transformers"]
    assert found.quality["cosine_least"] > 0.95


def test_every_backend_is_compared_with_float32_and_bits_are_checked(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = ("torch-fp32", "torch-bf16")
    monkeypatch.setattr("cascade.inference.towers.choice.available", lambda device: here)
    found = backends.bench(options, silent)
    shape(found)
    against = {(peer.ours, peer.speed.name) for peer in found.peers}
    assert ("cross-encoder, torch-bf16", "cross-encoder, torch-fp32") in against
    assert ("bi-encoder, torch-bf16", "bi-encoder, torch-fp32") in against
    assert found.quality["cross-encoder"]["torch-fp32"]["kendall_tau"] == pytest.approx(1)
    (bits,) = found.checks
    assert bits.value == 100

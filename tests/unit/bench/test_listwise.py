"""The listwise bench in its smallest size, over small models with random weights."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from pathlib import Path

import pytest

from cascade.bench import listwise
from cascade.bench.options import Options
from cascade.errors import ModelLoadError
from cascade.rerank.listwise.joint_model import JointModel
from cascade.rerank.listwise.language_model import LanguageModel
from cascade.rerank.listwise.likelihood_model import LikelihoodModel
from cascade.rerank.listwise.list_prompt import ListPrompt
from cascade.rerank.listwise.order_reader import OrderReader
from tests.conftest import write_joint

TEXTS = [
    "Paris is the capital of France.",
    "Water boils at one hundred degrees.",
    "Stir until the dough is smooth.",
    "Lyon is a city in France.",
    "The museum opens at nine.",
]


@pytest.fixture
def collections(tmp_path: Path) -> Path:
    """A folder with one small judged collection."""
    folder = tmp_path / "collections" / "wikiqa"
    (folder / "qrels").mkdir(parents=True)
    rows = [{"_id": f"d{i}", "title": "", "text": text} for i, text in enumerate(TEXTS)]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    queries = [{"_id": f"q{i}", "text": text} for i, text in enumerate(("capital of France", "water boils"))]
    (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in queries), encoding="utf-8")
    judged = ["q0\td0\t1", "q0\td3\t0", "q1\td1\t1", "q1\td2\t0"]
    (folder / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *judged, ""]), encoding="utf-8")
    return folder.parent


@pytest.fixture(scope="module")
def base(tiny_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of language models with random weights and room for a window, the first that passes the self-tests."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    config = AutoConfig.from_pretrained(tiny_lm)
    config.max_position_embeddings = 8192
    prompt = ListPrompt("permutation-v1", [str(place) for place in range(1, 21)])
    for seed in range(100):
        folder = tmp_path_factory.mktemp(f"bench-base-{seed}")
        torch.manual_seed(seed)
        network = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]  # the library does not type it
        network.save_pretrained(folder)
        AutoTokenizer.from_pretrained(tiny_lm).save_pretrained(folder)
        model = LanguageModel(str(folder), device="cpu")
        reader = OrderReader(model, "permutation", prompt, most=20, constrained=True, plain=True)
        with suppress(ModelLoadError):
            LikelihoodModel(str(folder), device="cpu").ensure_loaded()
            asyncio.run(ready(reader, model))
            return folder
    raise AssertionError("no random model passed")


async def ready(reader: OrderReader, model: LanguageModel) -> None:
    try:
        await reader.warm_up()
    finally:
        await model.aclose()


@pytest.fixture(scope="module")
def joint(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of joint models over it with random heads, the first that passes its self-test, in bfloat16 too."""
    for seed in range(100):
        folder = write_joint(tmp_path_factory.mktemp(f"bench-joint-{seed}"), base, seed)
        with suppress(ModelLoadError):
            JointModel(str(folder), device="cpu").ensure_loaded()
            JointModel(str(folder), device="cpu", backend="torch-bf16").ensure_loaded()
            return folder
    raise AssertionError("no random model passed")


def test_it_compares_speeds_and_quality_of_every_way(
    collections: Path, base: Path, joint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listwise, "BASE", str(base))
    monkeypatch.setattr(listwise, "JOINT", str(joint))
    told: list[str] = []
    result = listwise.bench(
        Options(rounds=2, threads=1, collection=collections / "wikiqa", collections=collections, quick=True),
        told.append,
    )
    assert result.ours.name == "joint"
    assert [speed.name for speed in result.also] == ["joint, torch-bf16"]
    assert {peer.speed.name for peer in result.peers} == {"RankGPT windows of 20 by 10", "pointwise likelihood"}
    assert all(peer.goal is not None and peer.ratio.value > 0 for peer in result.peers)
    ndcg = result.quality["nDCG@10"]
    assert ndcg["queries"] == 1
    assert all(0 <= ndcg[name]["mean"] <= 1 for name in ndcg if isinstance(ndcg[name], dict))
    assert set(result.quality["kendall_tau with pointwise likelihood"]) == {
        "joint",
        "joint, torch-bf16",
        "RankGPT windows of 20 by 10",
    }
    assert all(tokens > 0 for tokens in result.quality["tokens read"].values())
    assert result.to_json()["machine"]["threads"] == 1
    assert told

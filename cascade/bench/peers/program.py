"""One peer, run by the Python of the peers' environment: reads orders as JSON lines, and answers each with one.

This file is run by itself, where nothing of Cascade is installed: it imports the standard library and the peer.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

TOKENIZER = ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


class OpenVinoInt8:
    """sentence-transformers' CrossEncoder on its OpenVINO backend, quantised as its documentation says."""

    package = "sentence-transformers"
    detail = "OpenVINO backend, static int8"
    beside = ("openvino", "nncf", "optimum-intel", "transformers")

    def __init__(self, folder: Path, texts: list[str]) -> None:
        from sentence_transformers import CrossEncoder

        kept = kept_folder(folder, "openvino", self.package, *self.beside)
        if not kept.exists():
            write_whole(kept, lambda made: quantise(folder, made, texts))
        quantised = {"file_name": "openvino_model_qint8_quantized.xml"}
        self.model = CrossEncoder(str(kept), backend="openvino", local_files_only=True, model_kwargs=quantised)

    def scores(self, query: str, passages: list[str]) -> list[float]:
        pairs = [(query, passage) for passage in passages]
        return [float(s) for s in self.model.predict(pairs, show_progress_bar=False)]


class FlashRank:
    """FlashRank, as it runs its own models: one padded batch through ONNX Runtime, dynamically quantised."""

    package = "flashrank"
    detail = "ONNX Runtime, dynamic int8"
    beside = ("onnxruntime",)

    def __init__(self, folder: Path, texts: list[str]) -> None:
        from flashrank import Ranker
        from flashrank.Config import model_file_map

        kept = kept_folder(folder, "flashrank", "onnxruntime", "torch")
        if not kept.exists():
            write_whole(kept, lambda made: write_onnx(folder, made))
        model_file_map[kept.name] = "quantised.onnx"
        self.ranker = Ranker(kept.name, str(kept.parent), log_level="ERROR")  # the tokenizer knows the most tokens

    def scores(self, query: str, passages: list[str]) -> list[float]:
        from flashrank import RerankRequest

        given = [{"id": place, "text": passage} for place, passage in enumerate(passages)]
        found = self.ranker.rerank(RerankRequest(query=query, passages=given))
        return [float(one["score"]) for one in sorted(found, key=lambda one: one["id"])]


class Rerankers:
    """The rerankers library's own cross-encoder class."""

    package = "rerankers"
    detail = "TransformerRanker, fp32"
    beside = ("transformers", "torch")

    def __init__(self, folder: Path, texts: list[str]) -> None:
        from rerankers import Reranker

        self.ranker = Reranker(str(folder), model_type="cross-encoder", dtype="fp32", device="cpu", verbose=0)

    def scores(self, query: str, passages: list[str]) -> list[float]:
        found = self.ranker.rank(query, passages)
        return [float(one.score) for one in sorted(found.results, key=lambda one: one.document.doc_id)]


class Infinity:
    """infinity-emb's engine in process, as its documentation shows for rerankers."""

    package = "infinity-emb"
    detail = "torch engine"
    beside = ("sentence-transformers", "transformers", "torch")

    def __init__(self, folder: Path, texts: list[str]) -> None:
        from infinity_emb import AsyncEmbeddingEngine, EngineArgs

        arguments = EngineArgs(
            model_name_or_path=str(folder),
            engine="torch",
            device="cpu",
            dtype="float32",
            model_warmup=False,
            batch_size=32,
            bettertransformer=False,
            compile=False,
            lengths_via_tokenize=False,
        )
        self.engine = AsyncEmbeddingEngine.from_args(arguments)
        self.loop = asyncio.new_event_loop()
        self.loop.run_until_complete(self.engine.astart())

    def scores(self, query: str, passages: list[str]) -> list[float]:
        found, _ = self.loop.run_until_complete(self.engine.rerank(query=query, docs=passages))
        return [float(one.relevance_score) for one in sorted(found, key=lambda one: one.index)]


PEERS: dict[str, Any] = {
    "openvino-int8": OpenVinoInt8,
    "flashrank": FlashRank,
    "rerankers": Rerankers,
    "infinity": Infinity,
}


def kept_folder(folder: Path, name: str, *packages: str) -> Path:
    """Beside `folder`, for what is made of it with these versions."""
    return folder.with_name("-".join([folder.name, name, *(version(package) for package in packages)]))


def write_whole(folder: Path, write: Callable[[Path], object]) -> None:
    """The folder appears when all is in it."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        made = Path(scratch) / "made"
        made.mkdir()
        write(made)
        made.rename(folder)


def quantise(folder: Path, made: Path, texts: list[str]) -> None:
    """Into `made`, the classifier in `folder` with weights and activations in int8, calibrated on texts."""
    from sentence_transformers import CrossEncoder, export_static_quantized_openvino_model

    model = CrossEncoder(str(folder), backend="openvino", local_files_only=True)
    model.save_pretrained(str(made))
    with tempfile.TemporaryDirectory() as calibration:
        lines = (json.dumps({"text": text}) for text in texts)
        (Path(calibration) / "train.jsonl").write_text("\n".join(lines), encoding="utf-8")
        export_static_quantized_openvino_model(model, None, str(made), calibration, "default", "train", "text")


def write_onnx(folder: Path, made: Path) -> None:
    """Into `made`, the classifier in `folder` with its matrices in int8, their inputs quantised as they come."""
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from transformers import AutoModelForSequenceClassification

    for name in TOKENIZER:
        shutil.copyfile(folder / name, made / name)

    class Traced(torch.nn.Module):
        """With a mask that is ready to be added, which the library would make in a way that cannot be traced."""

        def __init__(self) -> None:
            super().__init__()
            self.model = AutoModelForSequenceClassification.from_pretrained(folder, attn_implementation="eager").eval()

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any) -> Any:
            closed = (1.0 - attention_mask[:, None, None, :].float()) * -1e4
            return self.model(input_ids, attention_mask=closed, token_type_ids=token_type_ids).logits

    names = ["input_ids", "attention_mask", "token_type_ids"]
    example = {name: torch.ones(2, 8, dtype=torch.long) for name in names}
    axes = {0: "batch", 1: "length"}
    with tempfile.TemporaryDirectory() as scratch:
        whole = str(Path(scratch) / "whole.onnx")
        torch.onnx.export(
            Traced(),
            tuple(example[name] for name in names),
            whole,
            input_names=names,
            output_names=["logits"],
            dynamic_axes={**dict.fromkeys(names, axes), "logits": {0: "batch"}},
            opset_version=17,
            dynamo=False,
        )
        quantize_dynamic(whole, str(made / "quantised.onnx"), weight_type=QuantType.QInt8)


class Server:
    """Carries out orders; what a peer prints goes to standard error, so that standard output has answers alone."""

    def __init__(self) -> None:
        self.peer: Any = None
        self.work: list[tuple[str, list[str]]] = []

    def load(self, order: dict[str, Any]) -> dict[str, Any]:
        kind = PEERS[order["peer"]]
        self.work = [(query, passages) for query, passages in order["work"]]
        hold_threads(order["threads"])
        self.peer = kind(Path(order["folder"]), [text for _, passages in self.work for text in passages])
        beside = ", ".join(f"{name} {version(name)}" for name in kind.beside)
        return {"version": version(kind.package), "detail": f"{kind.detail}; {beside}"}

    def run(self, order: dict[str, Any]) -> dict[str, Any]:
        query, passages = self.work[order["case"]]
        return {"scores": self.peer.scores(query, passages)}


def hold_threads(threads: int) -> None:
    """Torch takes the number from the environment too, but not everywhere."""
    if "torch" in sys.modules or os.environ.get("OMP_NUM_THREADS") != str(threads):
        import torch

        torch.set_num_threads(threads)


def main() -> None:
    """Answer until there are no more orders."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    server = Server()
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = getattr(server, {"load": "load", "run": "run"}[order["do"]])(order)
        except Exception as error:  # the peer's: whoever asked is told
            traceback.print_exc()
            answer = {"problem": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()

"""A standard cross-encoder of the same size as ours, for peers that read no other kind."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from cascade.weights import cache_root, resolve_model
from cascade.weights.cache import ensure, fingerprint

SAYS = "plain BERT classifier of the same layers and width, whose head is untrained: its scores say nothing"
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")
_SETTINGS = "pair_encoder.json"
_BACKBONE = "bert."


def folder(reference: str) -> Path:
    """Where it is kept for `reference`, with what peers make of it; written at first use."""
    source = Path(resolve_model(reference))
    version = fingerprint([source / "model.safetensors", Path(__file__)])
    return ensure(cache_root(), source.name, version, lambda made: write(reference, made), shelf="bench")


def write(reference: str, folder: Path) -> None:
    """A BertForSequenceClassification in `folder`, with the embeddings and layers of the pair encoder `reference`.

    It reads as many tokens of a pair as that one does.
    """
    import torch
    from safetensors.torch import load_file
    from transformers import AutoConfig, BertForSequenceClassification

    source = Path(resolve_model(reference))
    config = AutoConfig.from_pretrained(source, num_labels=1)
    torch.manual_seed(0)  # of the head, which no bi-encoder has
    model = BertForSequenceClassification(config)
    own = load_file(source / "model.safetensors")
    found = model.load_state_dict({n: t for n, t in own.items() if n.startswith(_BACKBONE)}, strict=False)
    assert all("pooler" in name or "classifier" in name for name in found.missing_keys), found.missing_keys
    model.save_pretrained(folder)
    tokenizer = Path(resolve_model("embedded:all-minilm-l6-v2"))
    for name in _TOKENIZER:
        shutil.copyfile(tokenizer / name, folder / name)
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    settings["model_max_length"] = json.loads((source / _SETTINGS).read_text(encoding="utf-8"))["max_seq_length"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")

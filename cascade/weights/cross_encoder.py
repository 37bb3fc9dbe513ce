"""The embedded cross-encoder: all-MiniLM-L6-v2 plus the shipped difference, as a complete model folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from cascade.errors import ModelLoadError
from cascade.weights import all_minilm
from cascade.weights.cache import ensure, fingerprint
from cascade.weights.difference import pack, unpack

if TYPE_CHECKING:
    from torch import Tensor

REFERENCE = "embedded:cross-encoder"
SHIPPED = Path(__file__).parent / "cross-encoder"

_DIFFERENCE = "difference.safetensors"
_CONFIGS = ("config.json", "config_sentence_transformers.json", "modules.json", "sentence_bert_config.json")
_MAX_LENGTH = 128  # tokens of a pair, as in training; with 256 nDCG@10 fell from .875 to .852 (see the model card)
_BACKBONE_PREFIX = "bert."


def materialise(cache_root: Path) -> Path:
    """A folder that `sentence_transformers.CrossEncoder` loads; written in about a second at first use."""
    base = all_minilm.materialise(cache_root)
    files = [SHIPPED / name for name in (_DIFFERENCE, *_CONFIGS)]
    for path in files:
        if not path.is_file():
            reason = f'found no {path.name} in {path.parent}; reinstall with pip install "cascade-ranking"'
            raise ModelLoadError(REFERENCE, reason)
    version = f"{_MAX_LENGTH}-" + fingerprint([*files, base / "model.safetensors"])
    return ensure(cache_root, "cross-encoder", version, lambda folder: restore(base, SHIPPED, folder))


def restore(base: Path, shipped: Path, folder: Path) -> None:
    """Writes into `folder` the model whose difference to the model in `base` is in `shipped`."""
    from safetensors.torch import load_file, save_file
    from transformers import AutoTokenizer

    trained = unpack(load_file(shipped / _DIFFERENCE), _backbone(base))
    save_file(trained, folder / "model.safetensors", metadata={"format": "pt"})
    for name in _CONFIGS:
        shutil.copyfile(shipped / name, folder / name)
    tokenizer = AutoTokenizer.from_pretrained(base, model_max_length=_MAX_LENGTH, local_files_only=True)
    tokenizer.save_pretrained(folder)


def ship(trained: Path, base: Path, shipped: Path) -> int:
    """Writes into `shipped` what `restore` needs to rebuild the model in `trained`; returns its size in bytes."""
    from safetensors.torch import load_file, save_file

    shipped.mkdir(parents=True, exist_ok=True)
    packed = pack(load_file(trained / "model.safetensors"), _backbone(base))
    save_file(packed, shipped / _DIFFERENCE, metadata={"format": "pt"})
    for name in _CONFIGS:
        shutil.copyfile(trained / name, shipped / name)
    return (shipped / _DIFFERENCE).stat().st_size


def _backbone(base: Path) -> dict[str, Tensor]:
    """The bi-encoder's tensors under the names they have inside a sequence classifier."""
    from safetensors.torch import load_file

    tensors = load_file(base / "model.safetensors")
    return {_BACKBONE_PREFIX + name: tensor for name, tensor in tensors.items()}

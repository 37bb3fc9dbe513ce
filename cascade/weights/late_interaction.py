"""The embedded late interaction model: all-MiniLM-L6-v2 plus the shipped projection and difference, as a folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from cascade.errors import ModelLoadError
from cascade.weights import all_minilm
from cascade.weights.cache import ensure, fingerprint
from cascade.weights.difference import pack, unpack

if TYPE_CHECKING:
    from torch import Tensor

REFERENCE = "embedded:late-interaction"
SHIPPED = Path(__file__).parent / "late-interaction"

_DIFFERENCE = "difference.safetensors"
_WEIGHTS = "model.safetensors"
_PROJECTION = "1_Dense"
_SETTINGS = "config_sentence_transformers.json"
_CONFIGS = (
    "config.json",
    "modules.json",
    "sentence_bert_config.json",
    _SETTINGS,
    f"{_PROJECTION}/config.json",
    "2_MultiVectorMask/config.json",
    "3_Normalize/config.json",
)


def is_one(folder: Path) -> bool:
    """Whether the folder holds a multi-vector model."""
    settings = folder / _SETTINGS
    return settings.is_file() and json.loads(settings.read_text("utf-8")).get("model_type") == "MultiVectorEncoder"


def materialise(cache_root: Path) -> Path:
    """A folder that `sentence_transformers.MultiVectorEncoder` loads; written in about a second at first use."""
    base = all_minilm.materialise(cache_root)
    files = [SHIPPED / name for name in (_DIFFERENCE, *_CONFIGS)]
    for path in files:
        if not path.is_file():
            found = path.relative_to(SHIPPED)
            reason = f'found no {found} in {SHIPPED}; reinstall with pip install "cascade-ranking"'
            raise ModelLoadError(REFERENCE, reason)
    version = fingerprint([*files, base / _WEIGHTS])
    return ensure(cache_root, "late-interaction", version, lambda folder: restore(base, SHIPPED, folder))


def restore(base: Path, shipped: Path, folder: Path) -> None:
    """Writes into `folder` the model whose difference to the model in `base` is in `shipped`."""
    from safetensors.torch import load_file, save_file
    from transformers import AutoTokenizer

    for name in _CONFIGS:
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(shipped / name, folder / name)
    trained = unpack(load_file(shipped / _DIFFERENCE), _backbone(base))
    for part, tensors in _parts(trained).items():
        save_file(tensors, folder / part / _WEIGHTS, metadata={"format": "pt"})
    AutoTokenizer.from_pretrained(base, local_files_only=True).save_pretrained(folder)


def ship(trained: Path, base: Path, shipped: Path) -> int:
    """Writes into `shipped` what `restore` needs to rebuild the model in `trained`; returns its size in bytes."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(trained / _WEIGHTS)
    projection = load_file(trained / _PROJECTION / _WEIGHTS)
    tensors.update({f"{_PROJECTION}/{name}": tensor for name, tensor in projection.items()})
    for name in _CONFIGS:
        (shipped / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(trained / name, shipped / name)
    packed = pack(tensors, _backbone(base))
    save_file(packed, shipped / _DIFFERENCE, metadata={"format": "pt"})
    return (shipped / _DIFFERENCE).stat().st_size


def _backbone(base: Path) -> dict[str, Tensor]:
    """The bi-encoder's weights."""
    from safetensors.torch import load_file

    return {name: tensor for name, tensor in load_file(base / _WEIGHTS).items() if tensor.is_floating_point()}


def _parts(trained: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """The tensors by the folder that holds them."""
    inside = f"{_PROJECTION}/"
    return {
        ".": {name: tensor for name, tensor in trained.items() if not name.startswith(inside)},
        _PROJECTION: {name.removeprefix(inside): t for name, t in trained.items() if name.startswith(inside)},
    }

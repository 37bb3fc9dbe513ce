"""The embedded cross-encoders: all-MiniLM-L6-v2, or some of its layers, plus a shipped difference."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cascade.errors import ModelLoadError
from cascade.weights import all_minilm
from cascade.weights.cache import ensure, fingerprint
from cascade.weights.difference import nearest_layers, pack, unpack, with_layers

if TYPE_CHECKING:
    from torch import Tensor

SHIPPED = Path(__file__).parent

_DIFFERENCE = "difference.safetensors"
_CONFIGS = ("config.json", "config_sentence_transformers.json", "modules.json", "pair_encoder.json")
_BACKBONE = "bert."
_UNUSED = ("pooler.", "embeddings.position_ids")  # of the base: a pair encoder has none


def materialise(cache_root: Path, name: str = "cross-encoder") -> Path:
    """A folder of a pair encoder; written in about a second at first use."""
    base = all_minilm.materialise(cache_root)
    shipped = SHIPPED / name
    files = [shipped / file for file in (_DIFFERENCE, *_CONFIGS)]
    for path in files:
        if not path.is_file():
            reason = f'found no {path.name} in {path.parent}; reinstall with pip install "cascade-ranking"'
            raise ModelLoadError(f"embedded:{name}", reason)
    version = fingerprint([*files, base / "model.safetensors"])
    return ensure(cache_root, name, version, lambda folder: restore(base, shipped, folder))


def restore(base: Path, shipped: Path, folder: Path) -> None:
    """Writes into `folder` the model whose difference to the bi-encoder in `base` is in `shipped`."""
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file
    from transformers import AutoTokenizer

    with safe_open(shipped / _DIFFERENCE, "pt") as file:
        layers = [int(layer) for layer in file.metadata()["layers"].split()]
    trained = unpack(load_file(shipped / _DIFFERENCE), with_layers(_backbone(base), layers))
    save_file(trained, folder / "model.safetensors", metadata={"format": "pt"})
    for name in _CONFIGS:
        shutil.copyfile(shipped / name, folder / name)
    AutoTokenizer.from_pretrained(base, local_files_only=True).save_pretrained(folder)


def ship(trained: Path, base: Path, shipped: Path) -> int:
    """Writes into `shipped` what `restore` needs to rebuild the pair encoder in `trained`; its size in bytes.

    Each layer is kept as its difference to the layer of `base` that it is nearest to, so that a student of a few
    layers packs as small as it can, whichever layers it was made from. Raises ModelLoadError for another model.
    """
    from safetensors.torch import load_file, save_file

    for name in _CONFIGS:
        if not (trained / name).is_file():
            reason = f"found no {name} in it, expected the folder of a trained pair encoder"
            raise ModelLoadError(str(trained), reason)
    tensors = load_file(trained / "model.safetensors")
    start = _backbone(base)
    layers = nearest_layers(tensors, start)
    packed = pack(tensors, with_layers(start, layers))
    shipped.mkdir(parents=True, exist_ok=True)
    metadata = {"format": "pt", "layers": " ".join(map(str, layers))}
    save_file(packed, shipped / _DIFFERENCE, metadata=metadata)
    (shipped / _DIFFERENCE).chmod(0o644)  # safetensors writes files that only the owner may read
    for name in _CONFIGS:
        shutil.copyfile(trained / name, shipped / name)
    return (shipped / _DIFFERENCE).stat().st_size


def _backbone(base: Path) -> Mapping[str, Tensor]:
    """The bi-encoder's tensors under the names they have inside a pair encoder."""
    from safetensors.torch import load_file

    tensors = load_file(base / "model.safetensors")
    return {_BACKBONE + name: tensor for name, tensor in tensors.items() if not name.startswith(_UNUSED)}

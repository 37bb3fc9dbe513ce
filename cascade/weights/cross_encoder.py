"""The embedded cross-encoders: an embedded bi-encoder, or some of its layers, plus a shipped difference."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cascade.errors import ModelLoadError
from cascade.weights import all_minilm
from cascade.weights.cache import ensure, fingerprint
from cascade.weights.difference import nearest_layers, pack, unpack, with_layers
from cascade.weights.resolver import resolve, resolve_model

if TYPE_CHECKING:
    from torch import Tensor

SHIPPED = Path(__file__).parent

_DIFFERENCE = "difference.safetensors"
_CONFIGS = ("config.json", "config_sentence_transformers.json", "modules.json", "pair_encoder.json")
_BACKBONE = "bert."
_UNUSED = ("pooler.", "embeddings.position_ids")  # of the base: a pair encoder has none


def materialise(cache_root: Path, name: str = "cross-encoder") -> Path:
    """A folder of a pair encoder; written in about a second at first use, or ten where its base is large."""
    shipped = SHIPPED / name
    files = [shipped / file for file in (_DIFFERENCE, *_CONFIGS)]
    for path in files:
        if not path.is_file():
            reason = f'found no {path.name} in {path.parent}; reinstall with pip install "cascade-ranking"'
            raise ModelLoadError(f"embedded:{name}", reason)
    base = resolve(_said(shipped).get("base", all_minilm.REFERENCE), cache_root=cache_root)
    version = fingerprint([*files, base / "model.safetensors"])
    return ensure(cache_root, name, version, lambda folder: restore(base, shipped, folder))


def restore(base: Path, shipped: Path, folder: Path) -> None:
    """Writes into `folder` the model whose difference to the bi-encoder in `base` is in `shipped`."""
    from safetensors.torch import load_file, save_file
    from transformers import AutoTokenizer

    layers = [int(layer) for layer in _said(shipped)["layers"].split()]
    trained = unpack(load_file(shipped / _DIFFERENCE), with_layers(_backbone(base), layers))
    save_file(trained, folder / "model.safetensors", metadata={"format": "pt"})
    for name in _CONFIGS:
        shutil.copyfile(shipped / name, folder / name)
    AutoTokenizer.from_pretrained(base, local_files_only=True).save_pretrained(folder)


def ship(trained: Path, base: str, shipped: Path) -> int:
    """Writes into `shipped` what `restore` needs to rebuild the pair encoder in `trained`; its size in bytes.

    `base` is an embedded model, or a folder. Each layer is kept as its difference to the layer of `base` that it
    is nearest to, so that a student of a few layers packs as small as it can, whichever layers it was made from. Raises
    ModelLoadError for another model.
    """
    from safetensors.torch import load_file, save_file

    for name in _CONFIGS:
        if not (trained / name).is_file():
            reason = f"found no {name} in it, expected the folder of a trained pair encoder"
            raise ModelLoadError(str(trained), reason)
    tensors = load_file(trained / "model.safetensors")
    start = _backbone(Path(resolve_model(base)))
    layers = nearest_layers(tensors, start)
    packed = pack(tensors, with_layers(start, layers))
    shipped.mkdir(parents=True, exist_ok=True)
    metadata = {"format": "pt", "layers": " ".join(map(str, layers)), "base": base}
    save_file(packed, shipped / _DIFFERENCE, metadata=metadata)
    (shipped / _DIFFERENCE).chmod(0o644)  # safetensors writes files that only the owner may read
    for name in _CONFIGS:
        shutil.copyfile(trained / name, shipped / name)
    return (shipped / _DIFFERENCE).stat().st_size


def _said(shipped: Path) -> Mapping[str, str]:
    """What stands beside a difference's tensors."""
    from safetensors import safe_open

    with safe_open(shipped / _DIFFERENCE, "pt") as file:
        found: Mapping[str, str] = file.metadata()
    return found


def _backbone(base: Path) -> Mapping[str, Tensor]:
    """The bi-encoder's tensors under the names they have inside a pair encoder."""
    from safetensors.torch import load_file

    tensors = load_file(base / "model.safetensors")
    return {_BACKBONE + name: tensor for name, tensor in tensors.items() if not name.startswith(_UNUSED)}

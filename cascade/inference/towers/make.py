"""Makes towers: which backends there are on this machine, and what each of them needs."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Literal, cast

from cascade.errors import ModelLoadError
from cascade.inference.device import pick_device, pick_dtype
from cascade.inference.towers.conversion import missing
from cascade.inference.towers.records import fingerprint
from cascade.inference.towers.tower import BackendName, Tower

if TYPE_CHECKING:
    from cascade.inference.towers.backbone import Backbone
    from cascade.inference.towers.natural_texts import Reader

EXACT: tuple[BackendName, ...] = ("torch-fp32", "torch-bf16", "openvino-bf16", "torch-compiled")
"""Backends that multiply floats; the others round to int8."""
ROUNDED: tuple[BackendName, ...] = ("native-int8", "openvino-int8", "onnx-int8")


def available(device: str = "auto") -> tuple[BackendName, ...]:
    """The backends that can run here and are worth it; those that multiply floats first.

    Others may still be asked for by name: torch runs bfloat16 everywhere, if slowly.
    """
    device = pick_device(device)
    reduced = pick_dtype(device).itemsize == 2
    found: list[BackendName] = ["torch-fp32"]
    if reduced:
        found.append("torch-bf16")
    if device == "cpu" and reduced and not missing(("openvino",)):
        found.append("openvino-bf16")
    if has_compiler():
        found.append("torch-compiled")
    if device == "cpu":
        from cascade.inference.towers import native

        if native.available():
            found.append("native-int8")
        if not missing(("openvino", "nncf")):
            found.append("openvino-int8")
        if not missing(("onnx", "onnxruntime")):
            found.append("onnx-int8")
    return tuple(found)


def has_compiler() -> bool:
    """Whether there is a C++ compiler, which torch needs to compile a model."""
    return any(shutil.which(name) for name in (os.environ.get("CXX") or "c++", "g++", "clang++"))


def make_tower(
    backbone: Backbone,
    backend: BackendName,
    *,
    device: str = "cpu",
    threads: int = 1,
    weights: str | None = None,
    read: Reader | None = None,
) -> Tower:
    """The backbone on `backend`, with `threads` where the runtime takes them; torch has its own setting.

    `weights` is the backbone's fingerprint, if it is known; `read`, which OpenVINO's int8 needs, is how the model reads
    a query and a passage. Raises ModelLoadError where it cannot be.
    """
    device = pick_device(device)
    if not backend.startswith("torch") and device != "cpu":
        raise ModelLoadError(backend, f"found the device {device}, expected cpu; choose a torch backend")
    if backend in ("openvino-bf16", "openvino-int8"):
        from cascade.inference.towers.openvino_tower import OpenVinoTower

        return OpenVinoTower(backbone, backend, weights=weights or fingerprint(backbone), threads=threads, read=read)
    if backend == "onnx-int8":
        from cascade.inference.towers.onnx_tower import OnnxTower

        return OnnxTower(backbone, weights=weights or fingerprint(backbone), threads=threads)
    if backend == "native-int8":
        return _native(backbone, threads, read)
    if backend == "torch-compiled" and not has_compiler():
        raise ModelLoadError(backend, "found no C++ compiler; install one, such as g++, or choose another backend")
    from cascade.inference.towers.torch_tower import TorchTower

    torch_backend = cast('Literal["torch-fp32", "torch-bf16", "torch-compiled"]', backend)
    return TorchTower(backbone, torch_backend, device=device)


def _native(backbone: Backbone, threads: int, read: Reader | None) -> Tower:
    from cascade.inference.towers import native

    if backbone.bert is None:
        raise ModelLoadError("native-int8", "the model is not built like BERT; choose another backend")
    if not native.available():
        raise ModelLoadError("native-int8", "this processor has no fast int8 (VNNI, AMX); choose another backend")
    from cascade.inference.towers.native.tower import NativeTower
    from cascade.inference.towers.natural_texts import natural_strips

    return NativeTower(backbone.bert, threads=threads, strips=natural_strips(read) if read else ())

"""An encoder on OpenVINO: in bfloat16, or in int8 with ranges that were observed on natural texts."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from cascade.errors import ModelLoadError
from cascade.inference.towers.conversion import INPUTS, converting, example, is_kept, kept, quiet, require
from cascade.inference.towers.converted_tower import MOST_TOKENS, ConvertedTower
from cascade.inference.towers.natural_texts import Reader, natural_strips
from cascade.inference.towers.padded import Padded, padded_batches
from cascade.inference.towers.strip import Strip
from cascade.inference.towers.tower import States

if TYPE_CHECKING:
    from openvino import Core

    from cascade.inference.towers.backbone import Backbone

OpenVinoBackend = Literal["openvino-bf16", "openvino-int8"]

_PACKAGES: dict[OpenVinoBackend, tuple[str, ...]] = {
    "openvino-bf16": ("openvino",),
    "openvino-int8": ("openvino", "nncf"),
}
_LEAST_COSINE: dict[OpenVinoBackend, float] = {"openvino-bf16": 0.999, "openvino-int8": 0.8}
"""With the states of the model in float32; what a rounding costs is measured elsewhere, this finds what is wrong."""
_FILE = "model.xml"


class OpenVinoTower(ConvertedTower):
    """In bfloat16, or in int8 with the rest in bfloat16 where the processor multiplies that."""

    def __init__(
        self, backbone: Backbone, backend: OpenVinoBackend, *, weights: str, threads: int, read: Reader | None = None
    ) -> None:
        """`weights` is the backbone's fingerprint; `read` is needed for int8, unless that was converted before.

        Raises ModelLoadError where OpenVINO is missing, or cannot do it.
        """
        require(_PACKAGES[backend], backend, "openvino")
        able = multiplies_bf16()
        if backend == "openvino-bf16" and not able:
            raise ModelLoadError(backend, "this processor does not multiply bfloat16; choose another backend")
        self._properties = {
            "INFERENCE_PRECISION_HINT": "bf16" if able else "f32",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,  # other models and the server's own threads run beside it
        }
        super().__init__(
            backbone,
            backend,
            kept(weights, backend, _PACKAGES[backend]),
            lambda folder: _convert(backbone, backend, read, folder),
            least=_LEAST_COSINE[backend],
        )

    @staticmethod
    def is_kept(backend: OpenVinoBackend, weights: str) -> bool:
        """Whether it was converted before, and is made at once."""
        return is_kept(backend, kept(weights, backend, _PACKAGES[backend]))

    def _open(self, folder: Path) -> None:
        self._request: Any = _core().compile_model(folder / _FILE, "CPU", self._properties).create_infer_request()

    def _run(self, batch: Padded) -> States:
        given = [batch.ids, batch.positions, batch.types, batch.parts]
        return cast("States", self._request.infer(given, share_inputs=True, share_outputs=True)[0])


def multiplies_bf16() -> bool:
    """Whether OpenVINO says so of this processor."""
    return "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@cache
def _core() -> Core:
    return _openvino().Core()


def _openvino() -> Any:
    # A server reports its use to nobody: the libraries go without this package where it cannot be imported.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # as the language defines it
    import openvino

    return openvino


def _convert(backbone: Backbone, backend: OpenVinoBackend, read: Reader | None, folder: Path) -> None:
    """Writes the model into `folder`. Raises ModelLoadError."""
    import torch

    openvino = _openvino()
    if backend == "openvino-int8" and read is None:
        raise ModelLoadError(backend, "found no texts to observe its ranges on, expected how the model reads a text")
    shapes = [([-1, -1], openvino.Type.i64)] * len(INPUTS)
    with converting(backend):
        with quiet(), torch.inference_mode():
            model = openvino.convert_model(backbone.to("cpu"), example_input=example(), input=shapes)
        if backend == "openvino-int8" and read is not None:
            model = _quantised(model, natural_strips(read), backbone.pad_id)
    openvino.save_model(model, folder / _FILE, compress_to_fp16=False)


def _quantised(model: Any, strips: Sequence[Strip], pad_id: int) -> Any:
    """After SmoothQuant (Xiao et al., 2023), which the library does for transformers."""
    with quiet(), redirect_stdout(io.StringIO()):  # standard output is for answers
        import nncf

        nncf.set_log_level(logging.ERROR)
        batches = [batch for strip in strips for batch in padded_batches(strip, pad_id=pad_id, most_tokens=MOST_TOKENS)]
        samples = [[one.ids, one.positions, one.types, one.parts] for one in batches]
        return nncf.quantize(
            model,
            nncf.Dataset(samples),
            preset=nncf.QuantizationPreset.MIXED,
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(samples),
        )

"""An encoder on ONNX Runtime, in int8 with ranges that are taken from each input."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cascade.inference.towers.conversion import INPUTS, converting, example, is_kept, kept, quiet, require
from cascade.inference.towers.converted_tower import ConvertedTower
from cascade.inference.towers.padded import Padded
from cascade.inference.towers.tower import BackendName, States

if TYPE_CHECKING:
    from cascade.inference.towers.backbone import Backbone

_BACKEND: BackendName = "onnx-int8"
_PACKAGES = ("onnx", "onnxruntime")
_LEAST_COSINE = 0.8
_OPSET = 17
"""The first with a LayerNorm of its own."""
_FILE = "model.onnx"
_LARGE = 1_500_000_000
"""Bytes of weights from which they stand beside the file, which can hold no more than 2 GB."""


class OnnxTower(ConvertedTower):
    """A scale for every column of its weights."""

    def __init__(self, backbone: Backbone, *, weights: str, threads: int) -> None:
        """`weights` is the backbone's fingerprint.

        Raises ModelLoadError where the runtime is missing, or cannot do it.
        """
        require(_PACKAGES, _BACKEND, "onnx")
        import onnxruntime

        self._options = onnxruntime.SessionOptions()
        self._options.intra_op_num_threads = threads
        self._options.inter_op_num_threads = 1
        # A thread that waits by turning takes the time of other models, and of the server.
        self._options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        key = kept(weights, _BACKEND, _PACKAGES)
        super().__init__(backbone, _BACKEND, key, lambda folder: _convert(backbone, folder), least=_LEAST_COSINE)

    @staticmethod
    def is_kept(weights: str) -> bool:
        """Whether it was converted before, and is made at once."""
        return is_kept(_BACKEND, kept(weights, _BACKEND, _PACKAGES))

    def _open(self, folder: Path) -> None:
        import onnxruntime

        self._session: Any = onnxruntime.InferenceSession(
            str(folder / _FILE), self._options, providers=["CPUExecutionProvider"]
        )
        self._inputs = [one.name for one in self._session.get_inputs()]  # without those that the model does not read

    def _run(self, batch: Padded) -> States:
        return cast("States", self._session.run(None, {name: getattr(batch, name) for name in self._inputs})[0])


def _convert(backbone: Backbone, folder: Path) -> None:
    """Writes the model into `folder`. Raises ModelLoadError."""
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic

    plain = folder / "plain.onnx"
    backbone = backbone.to("cpu")
    large = sum(tensor.nbytes for tensor in backbone.state_dict().values()) > _LARGE
    try:
        with converting(_BACKEND), quiet(), _silent(), torch.inference_mode():
            torch.onnx.export(
                backbone,
                example(),
                str(plain),
                dynamo=False,  # the other exporter needs a package more, and does no better on these
                input_names=list(INPUTS),
                output_names=["states"],
                dynamic_axes={name: {0: "count", 1: "length"} for name in (*INPUTS, "states")},
                opset_version=_OPSET,
            )
            quantize_dynamic(
                plain,
                folder / _FILE,
                weight_type=QuantType.QInt8,
                per_channel=True,
                use_external_data_format=large,
            )
    finally:
        for path in folder.iterdir():
            if not path.name.startswith(_FILE):
                path.unlink()


@contextmanager
def _silent() -> Iterator[None]:
    """The library warns through the root logger, to which the first warning of all would give a handler for good."""
    root, mute = logging.getLogger(), logging.NullHandler()
    level = root.level
    root.addHandler(mute)
    root.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        root.setLevel(level)
        root.removeHandler(mute)

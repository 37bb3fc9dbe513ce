"""The interface of every backend: packed tokens in, hidden states out."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from cascade.inference.towers.strip import Strip

States = npt.NDArray[np.float32]

BackendName = Literal[
    "torch-fp32",
    "torch-bf16",
    "torch-compiled",
    "openvino-bf16",
    "openvino-int8",
    "onnx-int8",
    "native-int8",
]
Backend = Literal["auto"] | BackendName
"""What a cascade may ask for; `auto` is the fastest here of those whose loss of quality is known and small enough."""


class Tower(Protocol):
    """An encoder's embeddings and layers, without what is put on top of them; called by one thread at a time."""

    @property
    def backend(self) -> BackendName:
        """What it runs on."""
        ...

    @property
    def same_bits(self) -> bool:
        """Whether a sequence's states are the same bits, whatever other sequences the strip holds."""
        ...

    def states(self, strip: Strip) -> States:
        """The last layer's states of the tokens that are asked for, float32 [tokens, hidden]."""
        ...

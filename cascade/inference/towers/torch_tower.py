"""Any encoder on torch: in float32, in bfloat16, or compiled."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor

from cascade.inference.device import pick_dtype
from cascade.inference.towers.backbone import Backbone
from cascade.inference.towers.packed_bert import PackedBert
from cascade.inference.towers.padded import padded_batches
from cascade.inference.towers.strip import Strip
from cascade.inference.towers.tower import States

TorchBackend = Literal["torch-fp32", "torch-bf16", "torch-compiled"]
_COMPILER = partial(torch.compile, dynamic=True)


class TorchTower:
    """On a processor layers like BERT's read no padding; else batches are a tenth padding at most.

    In bfloat16 what is multiplied is rounded, sums and LayerNorms are of float32. `torch-compiled` computes in the
    format that the device multiplies in hardware, with code made for this model when it first runs: some seconds.
    """

    same_bits = False
    """A multiplication of more rows adds in another order."""

    def __init__(
        self,
        backbone: Backbone,
        backend: TorchBackend = "torch-fp32",
        *,
        device: str = "cpu",
        compiler: Callable[[Backbone], Any] = _COMPILER,
    ) -> None:
        self.backend = backend
        self._device = device
        wanted = {"torch-fp32": torch.float32, "torch-bf16": torch.bfloat16, "torch-compiled": pick_dtype(device)}
        self._dtype = wanted[backend]
        self._pad_id = backbone.pad_id
        self._backbone = backbone.to(device)
        self._run: Any = self._backbone
        self._packed: PackedBert | None = None
        if backend == "torch-compiled":
            self._run = compiler(self._backbone)
        elif backbone.bert is not None and device == "cpu":
            self._packed = PackedBert(backbone.bert, self._dtype)

    def states(self, strip: Strip) -> States:
        """As promised by `Tower`."""
        with torch.inference_mode():
            if self._packed is not None:
                return cast("States", self._packed.states(strip).numpy())
            found = np.empty((len(strip.ids), self._backbone.hidden), dtype=np.float32)
            reduced = self._dtype is not torch.float32
            for batch in padded_batches(strip, pad_id=self._pad_id):
                given = (self._tensor(one) for one in (batch.ids, batch.positions, batch.types, batch.parts))
                with torch.autocast(torch.device(self._device).type, self._dtype, enabled=reduced):
                    states: Tensor = self._run(*given)
                found[batch.tokens] = states.float().cpu().numpy()[batch.real]
            return found[strip.wanted]

    def _tensor(self, array: Any) -> Tensor:
        return torch.from_numpy(array).to(self._device)

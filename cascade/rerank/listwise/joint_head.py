"""What of a joint model stays here when its layers run behind an endpoint: tokenizer, prompt and projector."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade.inference.device import hide_loading_bars
from cascade.inference.model import ServedModel
from cascade.rerank.listwise.blocks import Vectors
from cascade.rerank.listwise.checkpoint import load_projector
from cascade.rerank.listwise.joint_layout import JointLayout

if TYPE_CHECKING:
    from cascade.rerank.listwise.network import Projector


class JointHead(ServedModel):
    """As `JointModel` of the same folder, without its layers; nothing here takes long."""

    kind = "joint_head"
    layout: JointLayout
    _projector: Projector

    def _load(self) -> None:
        hide_loading_bars()
        self.layout = JointLayout(self.reference)
        self._projector = load_projector(self.layout.folder, self.layout.settings, self.layout.hidden_size)

    def project(self, states: Vectors) -> Vectors:
        """[n, hidden_size] -> [n, out_size], rows of length 1."""
        import torch

        with torch.inference_mode():
            vectors: Vectors = self._projector(torch.from_numpy(states)).numpy()
        return vectors

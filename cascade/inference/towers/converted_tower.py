"""What towers on other runtimes have in common: how a converted model comes into being, and how it is asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cascade.errors import ModelLoadError
from cascade.inference.towers.conversion import check, converted, discard, is_kept, read_from
from cascade.inference.towers.padded import Padded, padded_batches
from cascade.inference.towers.strip import Strip
from cascade.inference.towers.tower import BackendName, States

if TYPE_CHECKING:
    from cascade.inference.towers.backbone import Backbone

MOST_TOKENS = 512
"""Of a batch: on OpenVINO more at a time took longer, and so did packed sequences with a mask between them."""


class ConvertedTower(ABC):
    """A model converted from torch, checked against it once and kept on disk; batches are a tenth padding at most."""

    same_bits = False

    def __init__(
        self, backbone: Backbone, backend: BackendName, key: str, convert: Callable[[Path], None], *, least: float
    ) -> None:
        """`convert` writes the model into a folder, kept by its `key`; `least` is the cosine that its states must have.

        Raises ModelLoadError.
        """
        self.backend = backend
        self._pad_id, self._hidden = backbone.pad_id, backbone.hidden
        new = not is_kept(backend, key)
        folder = converted(backend, key, convert)
        with read_from(folder, backend):
            self._open(folder)
        if new:
            try:
                check(self, backbone, least=least)
            except ModelLoadError:
                discard(folder)
                raise

    @abstractmethod
    def _open(self, folder: Path) -> None:
        """Make the runtime ready to run what was written into `folder`; may raise anything."""

    @abstractmethod
    def _run(self, batch: Padded) -> States:
        """Float32 [n, length, hidden], whatever where there is padding."""

    def states(self, strip: Strip) -> States:
        """As promised by `Tower`."""
        found = np.empty((len(strip.ids), self._hidden), dtype=np.float32)
        for batch in padded_batches(strip, pad_id=self._pad_id, most_tokens=MOST_TOKENS):
            found[batch.tokens] = self._run(batch)[batch.real]
        return found[strip.wanted]

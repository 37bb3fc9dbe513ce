"""Averages the weights of models trained from one start: what each learned, without what each forgot."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cascade.errors import InvalidInputError, Violation
from cascade.weights import resolve_model

START = "start"
"""In place of a folder: the untrained pair encoder, grafted from the base."""


def average(models: Mapping[str, float], base: str, out: Path) -> Path:
    """Writes into `out` the pair encoder whose weights are the weighted mean of the models'.

    `models` maps folders, or START, to weights that add up to 1. With START the average keeps what the base did well
    on texts unlike the training data (WiSE-FT, Wortsman et al. 2022); of several it is a model soup (Wortsman et al.
    2022). Raises InvalidInputError for weights that do not add up and for models of different shapes.
    """
    from cascade.inference.pair_encoder import PairEncoder, as_cross_encoder

    if not math.isclose(sum(models.values()), 1.0, abs_tol=1e-6):
        found = f"the weights {', '.join(map(str, models.values()))} add up to {sum(models.values()):g}, expected 1"
        raise InvalidInputError([Violation("weights", found)])
    mean: dict[str, Any] = {}
    module: PairEncoder | None = None
    for name, weight in models.items():
        module = PairEncoder.graft(resolve_model(base)) if name == START else PairEncoder.load(name)
        for key, tensor in module.state_dict().items():
            if key in mean and mean[key].shape != tensor.shape:
                found = f"{key} has the shape {tuple(tensor.shape)}, expected {tuple(mean[key].shape)} as before it"
                raise InvalidInputError([Violation(name, f"{found}; average models of one shape")])
            mean[key] = mean.get(key, 0.0) + weight * tensor.double()
    if module is None or set(mean) != set(module.state_dict()):
        raise InvalidInputError(
            [Violation("models", "found none, or models of different depths; name models of one shape")]
        )
    module.load_state_dict({key: tensor.float() for key, tensor in mean.items()})
    as_cross_encoder(module).save_pretrained(str(out), create_model_card=False)
    return out

"""How a tier's order is fused with the one that it received."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cascade.config.fields import Strict


class Blend(Strict):
    """Fuses a tier's order with the order it received; `weight` is the tier's share.

    By rrf two documents that the orders swap tie at a half, and their ids decide; below, the order received does. The
    other methods add the scores, each brought to one scale over the tier's depth, with forecasts for what a tier that
    stops early did not read; where the candidates come from several stages, their ranks stand in for their scores.
    """

    method: Literal["rrf", "z_score", "min_max"] = "rrf"
    weight: float = Field(0.45, gt=0, lt=1)
    rrf_k: float = Field(60, gt=0)

"""What every tier is told."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from cascade.config.blend import Blend
from cascade.config.calibration import Calibration
from cascade.config.fields import Depth, Name, Strict
from cascade.config.until import Until


class Tier(Strict):
    """Sees `depth` candidates at most, and gives them an order, which `blend` fuses with the one that they came in."""

    reads_text: ClassVar[bool] = True
    depth: Depth
    max_time_ms: float | None = Field(None, gt=0)
    blend: Blend | None = None

    @property
    def model_in_use(self) -> str:
        """The model that reads, for the trace; empty without one."""
        return str(getattr(self, "model", ""))


class PointwiseTier(Tier):
    """Scores each document by itself, so that it can stop anywhere and its scores mean the same for every query."""

    until: Until | None = None
    calibration: Calibration | None = None


class IdentityConfig(Tier):
    """Keeps the order it received; only narrows."""

    reads_text: ClassVar[bool] = False
    model: ClassVar[str] = ""
    kind: Literal["identity"]
    name: Name = "identity"

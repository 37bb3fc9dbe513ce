"""How a tier's scores become probabilities."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from cascade.config.fields import Evidence, Positive, Strict


class Platt(Strict):
    """Probability of relevance 1 / (1 + exp(-(a * score + b))) (Platt, 1999)."""

    method: Literal["platt"]
    a: Positive
    b: float
    evidence: Evidence = Field(default_factory=dict, exclude=True)


class Isotonic(Strict):
    """Probability of relevance by linear interpolation between points that rise in both (Zadrozny and Elkan, 2002)."""

    method: Literal["isotonic"]
    x: tuple[float, ...] = Field(min_length=1)
    y: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(min_length=1)
    evidence: Evidence = Field(default_factory=dict, exclude=True)

    @model_validator(mode="after")
    def points_rise(self) -> Isotonic:
        """A probability that falls while the score rises would contradict the ranking."""
        if len(self.x) != len(self.y):
            raise ValueError(f"{len(self.x)} scores for {len(self.y)} probabilities, expected as many")
        if list(self.x) != sorted(set(self.x)) or list(self.y) != sorted(self.y):
            raise ValueError("x must rise and y must not fall; write it with `cascade calibrate`")
        return self


Calibration = Annotated[Platt | Isotonic, Field(discriminator="method")]

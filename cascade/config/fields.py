"""What all settings are made of: bounds that are the same everywhere, and no key that is not known."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
Depth = Annotated[int, Field(ge=1, le=10_000)]
Model = Annotated[str, Field(min_length=1)]
Positive = Annotated[float, Field(gt=0)]
Evidence = dict[str, str | int | float]
"""What a setting was measured by, for whoever reads the file; no part of what the cascade means."""


class Strict(BaseModel):
    """Frozen, unknown keys and numbers that are not finite are refused: a typo must not silently change a cascade."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

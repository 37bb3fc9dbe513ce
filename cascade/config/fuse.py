"""How several rankings become one."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cascade.config.fields import Depth, Name, Strict


class RrfConfig(Strict):
    """Reciprocal rank fusion (Cormack, Clarke and Buettcher, 2009)."""

    kind: Literal["rrf"] = "rrf"
    name: Name = "fuse"
    depth: Depth = 100
    rrf_k: float = Field(60, gt=0)
    weights: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)


class WeightedConfig(Strict):
    """A weighted sum of normalised scores; a document that a branch did not find gets no more than its lowest."""

    kind: Literal["weighted"]
    name: Name = "fuse"
    depth: Depth = 100
    normalize: Literal["min_max", "z_score"] = "min_max"
    weights: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)


FuserConfig = Annotated[RrfConfig | WeightedConfig, Field(discriminator="kind")]

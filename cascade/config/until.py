"""When a tier may stop before it has read everything."""

from __future__ import annotations

from pydantic import Field

from cascade.config.fields import Depth, Evidence, Positive, Strict


class Prior(Strict):
    """What a tier's scores are before any is known: a sum of three signals, each with a coefficient.

    The signals are 1, the z-scored score received and the log of the rank received. `mean` and `spread` are the mean
    and standard deviation of their coefficients over queries, `sigma` that of a score around the sum.
    """

    mean: tuple[float, float, float]
    spread: tuple[Positive, Positive, Positive]
    sigma: Positive


class Until(Strict):
    """A pointwise tier may stop early: when with this `confidence` nothing unscored would enter the first `stable_top`.

    Candidates are scored in the order received, the `first` of them at once and then `step` at a time. `cascade tune`
    finds the settings.
    """

    stable_top: Depth = 10
    confidence: float = Field(0.95, gt=0, lt=1)
    first: Depth = 20
    step: Depth = 10
    prior: Prior | None = None
    evidence: Evidence = Field(default_factory=dict, exclude=True)

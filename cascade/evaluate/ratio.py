"""How one figure compares with another that was taken beside it, several times over."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Ratio:
    """The median of the rounds' ratios with a 95 % bootstrap interval over rounds, which holds it."""

    value: float
    low: float
    high: float
    rounds: tuple[float, ...]


def ratio(pairs: Sequence[tuple[float | None, float | None]], seed: int = 0) -> Ratio | None:
    """Of (figure, the one it is compared with) by round; rounds without one of them, or with 0, do not count.

    Both of a pair were taken next to each other: where the machine changes over a run, each round is fair by itself.
    """
    each = [above / below for above, below in pairs if above is not None and below]
    if not each:
        return None
    drawn = np.random.default_rng(seed).integers(0, len(each), (_RESAMPLES, len(each)))
    medians = np.median(np.array(each)[drawn], axis=1)
    low, high = np.quantile(medians, (0.025, 0.975))
    middle = statistics.median(each)
    return Ratio(middle, min(float(low), middle), max(float(high), middle), tuple(each))

"""From a model's score to the chance that a document is relevant."""

from __future__ import annotations

import bisect
import math
from typing import assert_never

from cascade.config import Isotonic, Platt


def probability(calibration: Platt | Isotonic, score: float) -> float:
    """The chance of relevance, from 0 to 1; never lower for a higher score."""
    match calibration:
        case Platt():
            return _logistic(calibration.a * score + calibration.b)
        case Isotonic():
            return _between(calibration.x, calibration.y, score)
        case _:
            assert_never(calibration)


def _logistic(x: float) -> float:
    # Two forms, so that neither overflows.
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0 else math.exp(x) / (1.0 + math.exp(x))


def _between(x: tuple[float, ...], y: tuple[float, ...], score: float) -> float:
    """`y` at `score`, in a line between the points of `x`; beyond them the first and the last."""
    right = bisect.bisect_right(x, score)
    if right == 0:
        return y[0]
    if right == len(x):
        return y[-1]
    share = (score - x[right - 1]) / (x[right] - x[right - 1])
    # Held between its neighbours, which rounding could leave.
    return min(max(y[right - 1] + share * (y[right] - y[right - 1]), y[right - 1]), y[right])

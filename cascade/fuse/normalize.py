"""Scores brought to one scale before they are added."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence


def min_max(scores: Sequence[float]) -> list[float]:
    """Scores mapped linearly to [0, 1]; equal scores all become 1, since nothing tells them apart."""
    if not scores:
        return []
    low, high = min(scores), max(scores)
    if high == low:
        return [1.0] * len(scores)
    # Halves first: the difference of two huge finite numbers can be infinite.
    span = high / 2 - low / 2
    return [min(1.0, max(0.0, (s / 2 - low / 2) / span)) if span else 1.0 for s in scores]


def z_score(scores: Sequence[float]) -> list[float]:
    """Scores as standard deviations from their mean; equal scores all become 0."""
    if not scores:
        return []
    # Scaled, then shifted by one of them, which is exact for scores that are close: a rounded mean would give equal
    # scores a deviation, and huge ones an infinite square.
    largest = max(map(abs, scores)) or 1.0
    shifted = [s / largest - scores[0] / largest for s in scores]
    mean = statistics.fmean(shifted)
    deviation = math.sqrt(statistics.fmean([(s - mean) ** 2 for s in shifted]))
    return [(s - mean) / deviation if deviation else 0.0 for s in shifted]

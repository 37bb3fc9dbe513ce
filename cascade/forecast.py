"""What a tier will say of candidates that it has not read, foretold from those that it has."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cascade.config import Prior
from cascade.types import Ranking

Floats = npt.NDArray[np.float64]

# Without a prior scores are brought to deviation 1. The two slopes are held near 0, by as much as one candidate would:
# from ten candidates alone they would be drawn out over a hundred.
_SPREAD = (10.0, 1.0, 1.0)
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Forecast:
    """A normal distribution for the score of each candidate, both (n,); the deviation is above zero."""

    mean: Floats
    deviation: Floats

    def after(self, count: int) -> Forecast:
        """That of all candidates but the first `count`."""
        return Forecast(self.mean[count:], self.deviation[count:])

    def log_chance_below(self, bars: Floats) -> float:
        """The log of the chance that no candidate exceeds its bar, each taken by itself; `bars` (n,)."""
        return sum(math.log(max(_normal(float(z)), 1e-300)) for z in (bars - self.mean) / self.deviation)


def signal(head: Ranking) -> Floats:
    """What is known of candidates before a tier reads them, (n, 3): 1, the z-scored score received, the log rank.

    Where several stages gave the scores received, minus the rank stands in for them.
    """
    several = len({c.scored_by for c in head}) > 1
    received = np.array([-float(c.rank) if several else c.score for c in head])
    largest = float(np.abs(received).max(initial=0.0)) or 1.0
    received = received / largest  # so that no square of a finite score is infinite
    deviation = float(received.std())
    z = (received - received.mean()) / deviation if deviation > _TINY else np.zeros(len(head))
    return np.column_stack([np.ones(len(head)), z, np.log([float(c.rank) for c in head])])


def forecast(signals: Floats, scores: Floats, prior: Prior | None) -> Forecast:
    """The scores of all n candidates, foretold from those of the first k: `signals` (n, 3), `scores` (k,), k > 0.

    Bayesian linear regression of the score on the signal, within the request: its coefficients have the prior's means
    and spreads, or a flat prior on the scale of `scores`.
    """
    if prior is None:
        centre, scale = float(scores.mean()), float(scores.std()) or 1.0
        means, spreads, sigma = np.zeros(3), np.array(_SPREAD), 1.0
    else:
        centre, scale = 0.0, 1.0
        means, spreads, sigma = np.array(prior.mean), np.array(prior.spread), prior.sigma
    known, seen = (scores - centre) / scale, signals[: len(scores)]
    precision = np.diag((sigma / spreads) ** 2)
    inverse = np.linalg.inv(precision + seen.T @ seen)
    coefficients = inverse @ (precision @ means + seen.T @ known)
    off = coefficients - means
    residual = float(((known - seen @ coefficients) ** 2).sum() + off @ precision @ off)
    variance = (sigma**2 + residual) / (1 + len(scores))  # the prior's sigma counts as one candidate
    widened = 1.0 + np.einsum("ij,jk,ik->i", signals, inverse, signals)
    deviation = np.sqrt(np.maximum(variance * widened, 0.0)) * scale
    return Forecast(signals @ coefficients * scale + centre, np.maximum(deviation, _TINY * scale))


def _normal(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2.0))

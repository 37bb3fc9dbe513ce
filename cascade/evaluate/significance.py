"""How far a mean over queries can be trusted: bootstrap intervals and paired randomisation tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
_CHUNK_ELEMENTS = 1_000_000  # keeps a pass over thousands of queries within some tens of megabytes


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and a 95 % interval that contains it."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """A difference of means against `stage`, and the probability `p` of one as large by chance, two-sided."""

    stage: str
    delta: float
    p: float


def interval(values: NDArray[np.float64], *, seed: int, resamples: int = RESAMPLES) -> Interval:
    """The mean of `values`, shape (queries,), with its 95 % percentile bootstrap interval (Efron, 1979)."""
    if values.size == 0:
        raise ValueError("an interval needs at least one query, found none")
    random = np.random.default_rng(seed)
    chunks = (random.integers(values.size, size=(n, values.size)) for n in _chunks(resamples, values.size))
    means = np.concatenate([values[drawn].mean(axis=1) for drawn in chunks])
    mean = float(values.mean())
    low, high = np.quantile(means, (0.025, 0.975))
    # Rounding can put the mean of equal values a hair outside.
    return Interval(mean, min(float(low), mean), max(float(high), mean))


def compare(
    values: NDArray[np.float64],
    before: NDArray[np.float64],
    *,
    stage: str,
    seed: int,
    resamples: int = RESAMPLES,
) -> Comparison:
    """Test `values` against those of `stage` on the same queries, both of shape (queries,).

    A paired randomisation test (Smucker, Allan and Carterette, 2007): under the null hypothesis each query's
    difference is as likely to have the other sign. `p` counts what was observed as one of the draws, so that it
    is never 0.
    """
    if values.shape != before.shape:
        raise ValueError(f"found {values.shape} and {before.shape} values, expected the same queries twice")
    differences = values - before
    delta = float(differences.mean()) if differences.size else 0.0
    moved = differences[differences != 0.0]
    if moved.size == 0:
        return Comparison(stage, 0.0, 1.0)
    random = np.random.default_rng(seed)
    observed = abs(moved.sum())
    tolerance = 1e-9 * np.abs(moved).sum()  # a sum in another order differs in the last digits
    extreme = 0
    for n in _chunks(resamples, moved.size):
        signs = random.integers(0, 2, size=(n, moved.size), dtype=np.int8) * 2 - 1
        extreme += int(np.count_nonzero(np.abs(signs @ moved) >= observed - tolerance))
    return Comparison(stage, delta, (extreme + 1) / (resamples + 1))


def _chunks(total: int, width: int) -> list[int]:
    """`total` rows of `width` elements, cut so that no chunk holds many more elements than it must."""
    size = max(1, _CHUNK_ELEMENTS // width)
    return [min(size, total - start) for start in range(0, total, size)]

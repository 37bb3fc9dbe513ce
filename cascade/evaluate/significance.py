"""How far a mean over queries can be trusted: bootstrap intervals and paired randomisation tests."""

from __future__ import annotations

from collections.abc import Mapping
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
    return intervals({"": values}, seed=seed, resamples=resamples)[""]


def intervals(
    values: Mapping[str, NDArray[np.float64]], *, seed: int, resamples: int = RESAMPLES
) -> dict[str, Interval]:
    """As `interval`, of several measures of the same queries: each resample is drawn once for all of them."""
    columns = np.stack(list(values.values()), axis=1)
    size = len(columns)
    if size == 0:
        raise ValueError("an interval needs at least one query, found none")
    random = np.random.default_rng(seed)
    means = np.concatenate([_times_drawn(random, n, size) @ columns for n in _chunks(resamples, size)]) / size
    lows, highs = np.quantile(means, (0.025, 0.975), axis=0)
    found = {}
    for name, mean, low, high in zip(values, columns.mean(axis=0).tolist(), lows, highs, strict=True):
        # Rounding can put the mean of equal values a hair outside.
        found[name] = Interval(mean, min(float(low), mean), max(float(high), mean))
    return found


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


def _times_drawn(random: np.random.Generator, resamples: int, size: int) -> NDArray[np.float64]:
    """How often each resample of `size` queries holds each of them, (resamples, size)."""
    drawn = random.integers(size, size=(resamples, size)) + size * np.arange(resamples)[:, None]
    return np.bincount(drawn.ravel(), minlength=resamples * size).reshape(resamples, size).astype(np.float64)


def _chunks(total: int, width: int) -> list[int]:
    """`total` rows of `width` elements, cut so that no chunk holds many more elements than it must."""
    size = max(1, _CHUNK_ELEMENTS // width)
    return [min(size, total - start) for start in range(0, total, size)]

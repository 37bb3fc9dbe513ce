"""Fits a map from a tier's scores to the chance of relevance, and measures it on queries that were held out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cascade.calibration import probability
from cascade.config import Isotonic, Platt
from cascade.errors import InvalidInputError, Violation
from cascade.evaluate.significance import Interval

Floats = NDArray[np.float64]
Method = Literal["platt", "isotonic"]

BINS = 10
_RESAMPLES = 2000
_LEAST_RELEVANT = 10
_SURE = 1e-6  # a probability of 0 or 1 that is wrong once would have an infinite log loss


@dataclass(frozen=True, slots=True)
class Judged:
    """Scores and relevance (0 or 1) of documents, both (n,), with the number of the query (n,) that each is for."""

    scores: Floats
    relevant: Floats
    query: NDArray[np.int64]

    def where(self, mask: NDArray[np.bool_]) -> Judged:
        """Only the documents where `mask` holds."""
        return Judged(self.scores[mask], self.relevant[mask], self.query[mask])


@dataclass(frozen=True, slots=True)
class Bin:
    """Documents of like probability: its mean, the share that is relevant, and how many there are."""

    probability: float
    share: float
    count: int


@dataclass(frozen=True, slots=True)
class Reliability:
    """How true probabilities are, with 95 % intervals over queries: lower is better everywhere.

    `ece` is the expected calibration error over bins of like size (Naeini, Cooper and Hauskrecht, 2015).
    """

    brier: Interval
    log_loss: Interval
    ece: Interval
    bins: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A map fitted on everything, and how reliable such a map is for queries that it was not fitted on (`after`).

    `before` takes the score for a logit, `base_rate` gives every document the share of relevant ones.
    """

    calibration: Platt | Isotonic
    documents: int
    relevant: int
    queries: int
    before: Reliability
    base_rate: Reliability
    after: Reliability


def calibrate(judged: Judged, method: Method, *, folds: int = 5, seed: int = 0) -> Calibrated:
    """Fit, and cross-validate over queries. Raises InvalidInputError for too little to learn from."""
    queries, relevant = len(np.unique(judged.query)), int(judged.relevant.sum())
    others = len(judged.relevant) - relevant
    if queries < folds or relevant < _LEAST_RELEVANT or others < _LEAST_RELEVANT:
        found = f"found {relevant} relevant and {others} other documents of {queries} queries"
        expected = f"expected at least {_LEAST_RELEVANT} of each, of {folds} queries"
        raise InvalidInputError([Violation("judgments", f"{found}, {expected}")])
    fold = np.random.default_rng(seed).permutation(queries)[judged.query] % folds
    held_out = np.zeros(len(judged.scores))
    for number in range(folds):
        learnt = fit(judged.where(fold != number), method)
        held_out[fold == number] = [probability(learnt, float(s)) for s in judged.scores[fold == number]]
    logit = Platt(method="platt", a=1.0, b=0.0)
    before = np.array([probability(logit, float(s)) for s in judged.scores])
    return Calibrated(
        calibration=fit(judged, method),
        documents=len(judged.scores),
        relevant=relevant,
        queries=queries,
        before=reliability(before, judged, seed=seed),
        base_rate=reliability(np.full(len(before), relevant / len(before)), judged, seed=seed),
        after=reliability(held_out, judged, seed=seed),
    )


def fit(judged: Judged, method: Method) -> Platt | Isotonic:
    """The map by `method`. Raises InvalidInputError when a higher score does not mean a likelier document."""
    return _platt(judged) if method == "platt" else _isotonic(judged)


def reliability(probabilities: Floats, judged: Judged, *, seed: int, resamples: int = _RESAMPLES) -> Reliability:
    """How true `probabilities` (n,) are; intervals by bootstrap over queries."""
    sure = np.clip(probabilities, _SURE, 1 - _SURE)
    losses = -(judged.relevant * np.log(sure) + (1 - judged.relevant) * np.log1p(-sure))
    # By value, so that equal probabilities stand in one bin.
    place = np.searchsorted(np.quantile(sure, np.arange(1, BINS) / BINS), sure, side="right")
    queries = int(judged.query.max()) + 1

    def by_query(values: Floats) -> Floats:
        return np.bincount(judged.query, weights=values, minlength=queries).astype(np.float64)

    def by_bin(values: Floats) -> Floats:
        sums = np.bincount(judged.query * BINS + place, weights=values, minlength=queries * BINS)
        return sums.astype(np.float64).reshape(queries, BINS)

    count, squares, loss = by_query(np.ones(len(sure))), by_query((sure - judged.relevant) ** 2), by_query(losses)
    gaps = by_bin(sure - judged.relevant)
    drawn = np.random.default_rng(seed).integers(queries, size=(resamples, queries))

    def interval(of: Callable[[NDArray[np.int64]], float]) -> Interval:
        mean = of(np.arange(queries))
        low, high = np.quantile([of(draw) for draw in drawn], (0.025, 0.975))
        return Interval(mean, min(float(low), mean), max(float(high), mean))

    return Reliability(
        brier=interval(lambda q: float(squares[q].sum() / count[q].sum())),
        log_loss=interval(lambda q: float(loss[q].sum() / count[q].sum())),
        ece=interval(lambda q: float(np.abs(gaps[q].sum(axis=0)).sum() / count[q].sum())),
        bins=tuple(
            Bin(float(sure[place == b].mean()), float(judged.relevant[place == b].mean()), int((place == b).sum()))
            for b in range(BINS)
            if (place == b).any()
        ),
    )


def diagram(calibrated: Calibrated, title: str, path: Path) -> None:
    """Draw the reliability of both to a PNG: on the diagonal, of documents with probability p a share p is relevant."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 5.2), layout="constrained")
    axes: Any = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for name, found, marker in (
        ("score as a logit", calibrated.before, "o"),
        ("calibrated (held out)", calibrated.after, "s"),
    ):
        points = [(b.probability, b.share) for b in found.bins]
        axes.plot(*zip(*points, strict=True), marker=marker, label=f"{name}, ECE {found.ece.mean:.3f}")
    axes.set(xlabel="probability", ylabel="share relevant", title=title, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.legend(loc="upper left")
    figure.savefig(path, dpi=144)


def judged_of(scored: Sequence[tuple[Sequence[float], Sequence[bool]]]) -> Judged:
    """Scores and relevance of each query's documents as one."""
    return Judged(
        np.array([s for scores, _ in scored for s in scores], dtype=np.float64),
        np.array([r for _, relevant in scored for r in relevant], dtype=np.float64),
        np.array([number for number, (scores, _) in enumerate(scored) for _ in scores], dtype=np.int64),
    )


def _platt(judged: Judged) -> Platt:
    from sklearn.linear_model import LogisticRegression

    centre, scale = float(judged.scores.mean()), float(judged.scores.std()) or 1.0
    model = LogisticRegression(C=math.inf)
    model.fit(((judged.scores - centre) / scale)[:, None], judged.relevant)
    a = float(model.coef_[0, 0]) / scale
    if a <= 0:
        raise _meaningless()
    return Platt(method="platt", a=a, b=float(model.intercept_[0]) - a * centre)


def _isotonic(judged: Judged) -> Isotonic:
    from sklearn.isotonic import IsotonicRegression

    model = IsotonicRegression(out_of_bounds="clip")
    model.fit(judged.scores, judged.relevant)
    x, y = (np.asarray(found, dtype=np.float64) for found in (model.X_thresholds_, model.y_thresholds_))
    if y[0] == y[-1]:
        raise _meaningless()
    # Nothing is certain: as if beyond the best and the worst document there had been one that was otherwise.
    least = 1.0 / (len(judged.scores) + 2)
    y = np.clip(y, least, 1.0 - least)
    rising = np.concatenate([[True], np.diff(x) > 0])
    return Isotonic(
        method="isotonic",
        x=tuple(float(f"{value:.6g}") for value in x[rising]),
        y=tuple(float(value) for value in np.maximum.accumulate(y[rising].round(6))),
    )


def _meaningless() -> InvalidInputError:
    message = "a higher score does not mean a likelier document here, so that there is nothing to calibrate"
    return InvalidInputError([Violation("scores", message)])

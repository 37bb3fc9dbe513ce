"""Finds how early a tier may stop: every setting is tried on scores gathered once, with the engine's own arithmetic."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from cascade.adaptive import ends, log_chance
from cascade.config import Blend, CrossEncoderConfig, PointwiseConfig, Prior, Until
from cascade.errors import InvalidInputError, Violation
from cascade.evaluate.collection import Collection
from cascade.evaluate.measures import score, without
from cascade.evaluate.significance import RESAMPLES
from cascade.evaluate.tier_scores import TierScores
from cascade.forecast import signal
from cascade.inference.cost import approximate_tokens
from cascade.tier import ordered

Floats = NDArray[np.float64]

MEASURE = "nDCG@10"
TOPS = (1, 2, 3, 5, 10)
FIRSTS = (10, 20)
STEP = 5
CONFIDENCES = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 0.9999)
DEPTHS = (10, 15, 20, 25, 30, 40, 50, 60, 70, 80)
TIMES_FEWER = (1.1, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
WEIGHTS = (0.1, 0.25, 0.4, 0.55, 0.7, 0.85)


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting of a tier and what it comes to for each query, both (queries,): nDCG@10 and tokens read."""

    tier: PointwiseConfig
    gain: Floats
    tokens: Floats

    def of(self, queries: NDArray[np.int64]) -> Trial:
        """For some of the queries, by their places."""
        return replace(self, gain=self.gain[queries], tokens=self.tokens[queries])


@dataclass(frozen=True, slots=True)
class Difference:
    """How much a setting's nDCG@10 is above full depth's: the mean, the lower bound of it (one-sided 95 %), and `p`.

    `p` is the chance of a mean so high if the true one were no more than minus the margin; `changed` counts the queries
    that came out otherwise. Where none did the bootstrap sees no risk at all, and the rule of three has the last word.
    """

    mean: float
    low: float
    p: float
    changed: int


@dataclass(frozen=True, slots=True)
class Step:
    """One setting on the way from full depth to the fewest tokens, on the queries that it was not chosen by."""

    trial: Trial
    tokens: float
    difference: Difference
    passed: bool


@dataclass(frozen=True, slots=True)
class Tuned:
    """The way that was gone, the setting with the fewest tokens that passed (None if none did), and full depth.

    `chosen_by` and `confirmed_by` are the places of the queries of the two halves.
    """

    full: Trial
    steps: tuple[Step, ...]
    chosen: Step | None
    chosen_by: NDArray[np.int64]
    confirmed_by: NDArray[np.int64]


def tune(trials: Sequence[Trial], full: Trial, *, margin: float, seed: int) -> Tuned:
    """The setting with the fewest tokens whose nDCG@10 is not worse than `full`'s by `margin`.

    On one half of the queries the best setting of each range of `TIMES_FEWER` tokens is found, which make a way from
    more tokens to fewer. On the other half they are tested in that order, one-sided at 5 %, until one fails: a sequence
    fixed beforehand needs no correction for many tests (Maurer, Hothorn and Lehmacher, 1995).
    """
    chosen_by, confirmed_by = halves(len(full.gain), seed)
    steps: list[Step] = []
    for trial in _way([t.of(chosen_by) for t in trials], full.of(chosen_by), margin):
        held_out, whole = trials[trial].of(confirmed_by), full.of(confirmed_by)
        difference = compare(held_out.gain, whole.gain, margin=margin, seed=seed)
        passed = difference.low > -margin and bool(held_out.tokens.mean() < whole.tokens.mean())
        steps.append(Step(trials[trial], float(held_out.tokens.mean()), difference, passed))
        if not passed:
            break
    best = min((step for step in steps if step.passed), key=lambda step: step.tokens, default=None)
    return Tuned(full, tuple(steps), best, chosen_by, confirmed_by)


def compare(gain: Floats, full: Floats, *, margin: float, seed: int) -> Difference:
    """The paired difference of two settings over the same queries, by bootstrap."""
    differences = gain - full
    random = np.random.default_rng(seed)
    means = np.array([differences[random.integers(len(full), size=len(full))].mean() for _ in range(RESAMPLES)])
    p = (1 + int((means <= -margin).sum())) / (RESAMPLES + 1)
    return Difference(float(differences.mean()), float(np.quantile(means, 0.05)), p, int((differences != 0.0).sum()))


def settings(tier: PointwiseConfig, prior: Prior | None, blends: Sequence[Blend | None]) -> Iterator[PointwiseConfig]:
    """Every setting that is tried: fixed depths, and early stops without and with the prior, with each of `blends`."""
    priors = [None, prior] if prior is not None else [None]
    for blend in blends:
        blended = tier.model_copy(update={"blend": blend})
        for depth in (d for d in DEPTHS if d < tier.depth):
            yield blended.model_copy(update={"depth": depth, "until": None})
        for first, top, known in product(FIRSTS, TOPS, priors):
            if top <= first < tier.depth:
                for confidence in CONFIDENCES:
                    until = Until(stable_top=top, confidence=confidence, first=first, step=STEP, prior=known)
                    yield blended.model_copy(update={"until": until})


def blends(tier: PointwiseConfig) -> list[Blend]:
    """Every blend that is tried for a tier that has one."""
    if tier.blend is None:
        return []
    by_rank = [Blend(method="rrf", weight=w, rrf_k=tier.blend.rrf_k) for w in WEIGHTS]
    by_z_score = [Blend(method="z_score", weight=w) for w in WEIGHTS]
    return [*by_rank, *by_z_score, *(Blend(method="min_max", weight=w) for w in WEIGHTS)]


class Simulation:
    """What settings of one tier come to for queries whose every candidate was scored, as the engine would do it."""

    def __init__(self, tier: PointwiseConfig, collection: Collection, scores: Mapping[str, TierScores]) -> None:
        whole = (q for q in collection.qrels if q in scores and len(scores[q].values) == len(scores[q].received))
        self.query_ids = tuple(whole)
        self._scores = [scores[q] for q in self.query_ids]
        self._qrels = collection.qrels
        self._excluded = collection.excluded
        passages = {d.doc_id: d.passage for d in collection.documents}
        self._tokens = [_tokens(scores[q], collection.queries[q], passages, _most(tier)) for q in self.query_ids]
        self._chances: dict[tuple[str, int, int], float] = {}
        self._gains: dict[tuple[str, int, int], float] = {}

    def trial(self, tier: PointwiseConfig) -> Trial:
        """`tier`, which differs from this tier in depth, until and blend only."""
        read = [self._read(tier, number) for number in range(len(self._scores))]
        tokens = np.array([known[n] for known, n in zip(self._tokens, read, strict=True)])
        return Trial(tier, self._gain(tier, read), tokens)

    def prior(self) -> Prior | None:
        """How scores follow what the tier receives, over these queries; None where it cannot be said."""
        found, squares, count = [], 0.0, 0
        for scores in self._scores:
            if len(scores.values) > 10:
                signals, values = signal(scores.received), np.array(scores.values)
                coefficients = np.linalg.lstsq(signals, values, rcond=None)[0]
                found.append(coefficients)
                squares += float(((values - signals @ coefficients) ** 2).sum())
                count += len(values) - signals.shape[1]
        if len(found) < 10 or squares == 0.0:
            return None
        mean, spread, sigma = np.mean(found, axis=0), np.std(found, axis=0), math.sqrt(squares / count)
        return Prior(
            mean=(_short(mean[0]), _short(mean[1]), _short(mean[2])),
            spread=(_spread(spread[0], sigma), _spread(spread[1], sigma), _spread(spread[2], sigma)),
            sigma=_short(sigma),
        )

    def _read(self, tier: PointwiseConfig, number: int) -> int:
        """How many candidates the tier would read for a query."""
        scores, until = self._scores[number], tier.until
        head = scores.received.head(tier.depth)
        if until is None:
            return len(head)
        asked = f"{until.stable_top} {until.prior} {tier.blend} {tier.depth}"  # the chance depends on nothing else
        for end in ends(len(head), until):
            key = asked, number, end
            if key not in self._chances:
                self._chances[key] = log_chance(until, tier.blend, head, scores.values[:end])
            if self._chances[key] >= math.log(until.confidence):
                return end
        return len(head)

    def _gain(self, tier: PointwiseConfig, read: Sequence[int]) -> Floats:
        """nDCG@10 of every query after so many candidates each."""
        prior = tier.until.prior if tier.until is not None else None
        keys = [(f"{tier.blend} {tier.depth} {prior}", number, n) for number, n in enumerate(read)]
        missing = [key for key in keys if key not in self._gains]
        run = {}
        for _, number, n in missing:
            scores = self._scores[number]
            own = ordered(tier, scores.received.head(tier.depth), scores.values[:n])
            ranked = set(own.doc_ids)
            rest = (c for c in scores.received if c.doc_id not in ranked)
            run[self.query_ids[number]] = tuple(own.followed_by(rest).doc_ids)
        found = score(without(run, self._excluded), {q: self._qrels[q] for q in run}, (MEASURE,))[MEASURE]
        self._gains.update(zip(missing, found.tolist(), strict=True))
        return np.array([self._gains[key] for key in keys])


def search(simulation: Simulation, tier: PointwiseConfig, *, margin: float, seed: int) -> Tuned:
    """Try every setting of `tier` and go the way of `tune`.

    Where the tier blends, the blend that is best at full depth on the choosing half is tried beside its own. Raises
    InvalidInputError for fewer than four queries.
    """
    if len(simulation.query_ids) < 4:
        message = f"found {len(simulation.query_ids)} queries of which every candidate was scored, expected at least 4"
        raise InvalidInputError([Violation("queries", message)])
    full = simulation.trial(tier)
    choosing, _ = halves(len(full.gain), seed)
    others = [simulation.trial(tier.model_copy(update={"blend": blend})) for blend in blends(tier)]
    best = max([full, *others], key=lambda trial: float(trial.gain[choosing].mean()))
    tried = list(dict.fromkeys([tier.blend, best.tier.blend]))
    trials = [simulation.trial(setting) for setting in settings(tier, simulation.prior(), tried)]
    return tune(trials, full, margin=margin, seed=seed)


def halves(count: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The places of the queries that settings are chosen by, and of those that they are confirmed by."""
    places = np.random.default_rng(seed).permutation(count)
    return np.sort(places[::2]), np.sort(places[1::2])


def _way(trials: Sequence[Trial], full: Trial, margin: float) -> list[int]:
    """Places of the best trial of each range of tokens, where that is within the margin, from more tokens to fewer."""
    best: dict[int, tuple[float, float, int]] = {}
    for place, trial in enumerate(trials):
        tokens, lost = float(trial.tokens.mean()), float((full.gain - trial.gain).mean())
        fewer = float(full.tokens.mean()) / max(1.0, tokens)
        reached = bisect.bisect_right(TIMES_FEWER, fewer)
        if reached and lost <= margin:
            best[reached] = min(best.get(reached, (math.inf, 0.0, 0)), (lost, tokens, place))
    return [best[reached][2] for reached in sorted(best)]


def _tokens(scores: TierScores, query: str, passages: Mapping[str, str], most: int) -> Floats:
    """The tokens read after 0, 1, 2, … candidates, (n + 1,): what the query took, shared out by the texts' lengths."""
    weights = [approximate_tokens([query, passages.get(d, "")], most=most) for d in scores.received.doc_ids]
    return np.concatenate([[0.0], np.cumsum(weights) * scores.tokens / (sum(weights) or 1.0)])


def _most(tier: PointwiseConfig) -> int:
    """The most tokens that a tier reads of a document."""
    return tier.max_length if isinstance(tier, CrossEncoderConfig) else int(tier.model_dump()["max_doc_tokens"])


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def _spread(value: float, sigma: float) -> float:
    """Never so small that no request could differ."""
    return _short(max(float(value), 0.05 * sigma))

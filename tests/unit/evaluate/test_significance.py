"""Intervals and tests are repeatable, and say what textbooks expect of them."""

import itertools

import numpy as np
import pytest

from cascade.evaluate.significance import compare, interval, intervals


def test_an_interval_contains_the_mean_and_repeats_by_seed() -> None:
    values = np.random.default_rng(1).random(40)
    first = interval(values, seed=7)
    assert first.low < first.mean < first.high
    assert first.mean == pytest.approx(values.mean())
    assert interval(values, seed=7) == first
    assert interval(values, seed=8) != first


def test_intervals_of_several_measures_are_those_of_each() -> None:
    random = np.random.default_rng(9)
    values = {"nDCG@10": random.random(40), "AP": random.random(40)}
    together = intervals(values, seed=7)
    for name, found in together.items():
        alone = interval(values[name], seed=7)
        assert (found.mean, found.low, found.high) == pytest.approx((alone.mean, alone.low, alone.high))
    resampled = np.random.default_rng(7).integers(40, size=(10_000, 40))
    means = values["AP"][resampled].mean(axis=1)
    assert (together["AP"].low, together["AP"].high) == pytest.approx(tuple(np.quantile(means, (0.025, 0.975))))


def test_an_interval_is_as_wide_as_the_normal_approximation_says() -> None:
    values = np.random.default_rng(2).normal(0.5, 0.2, 400)
    found = interval(values, seed=0)
    expected = 2 * 1.96 * values.std() / np.sqrt(400)
    assert found.high - found.low == pytest.approx(expected, rel=0.05)


def test_an_interval_covers_the_true_mean_about_95_times_in_100() -> None:
    random = np.random.default_rng(3)
    found = [interval(random.normal(0.4, 0.3, 50), seed=s, resamples=1000) for s in range(200)]
    assert 180 <= sum(i.low <= 0.4 <= i.high for i in found) <= 198


def test_equal_values_have_an_interval_of_no_width() -> None:
    found = interval(np.full(30, 0.1), seed=0)
    assert found.low == pytest.approx(found.high)
    assert found.low <= found.mean <= found.high


def test_one_query_is_an_interval_and_none_is_an_error() -> None:
    assert interval(np.array([0.3]), seed=0).low == 0.3
    with pytest.raises(ValueError, match="at least one query"):
        interval(np.array([]), seed=0)


def test_a_clear_gain_is_significant_and_its_loss_just_as_much() -> None:
    random = np.random.default_rng(4)
    before = random.random(60)
    after = before + 0.1 + 0.05 * random.random(60)
    gain, loss = compare(after, before, stage="bm25", seed=0), compare(before, after, stage="x", seed=0)
    assert gain.stage == "bm25"
    assert gain.delta == pytest.approx((after - before).mean())
    assert gain.p == pytest.approx(1 / 10_001)
    assert (loss.delta, loss.p) == (-gain.delta, gain.p)


def test_equal_values_give_p_one() -> None:
    values = np.random.default_rng(5).random(20)
    found = compare(values, values.copy(), stage="bm25", seed=0)
    assert (found.delta, found.p) == (0.0, 1.0)


def test_under_the_null_hypothesis_p_is_spread_evenly() -> None:
    random = np.random.default_rng(6)
    draws = [random.normal(0, 1, (2, 30)) for _ in range(300)]
    p = [compare(a, b, stage="x", seed=s, resamples=500).p for s, (a, b) in enumerate(draws)]
    assert 0.01 <= np.mean(np.array(p) < 0.05) <= 0.1
    assert 0.4 <= np.mean(p) <= 0.6


def test_p_equals_the_share_of_all_sign_patterns_that_are_as_extreme() -> None:
    differences = np.array([0.3, -0.1, 0.2, 0.4, 0.05, 0.15, -0.2, 0.1])
    sums = [abs(np.dot(signs, differences)) for signs in itertools.product((-1, 1), repeat=8)]
    exact = np.mean(np.array(sums) >= abs(differences.sum()) - 1e-12)
    found = compare(differences, np.zeros(8), stage="x", seed=0, resamples=50_000)
    assert found.p == pytest.approx(exact, abs=0.01)


def test_a_comparison_repeats_by_seed_and_needs_the_same_queries() -> None:
    random = np.random.default_rng(8)
    a, b = random.random(25), random.random(25)
    assert compare(a, b, stage="x", seed=1) == compare(a, b, stage="x", seed=1)
    with pytest.raises(ValueError, match="the same queries twice"):
        compare(a, b[:-1], stage="x", seed=1)

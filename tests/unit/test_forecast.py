"""Scores foretold from those that are known."""

from __future__ import annotations

import numpy as np
import pytest

from cascade.config import Prior
from cascade.forecast import Forecast, forecast, signal
from cascade.types import Ranking

HEAD = Ranking.from_scores([(f"d{i:02}", 50.0 - i * i / 40) for i in range(40)], "fuse")
RANDOM = np.random.default_rng(7)


def test_a_score_that_follows_what_was_received_is_foretold() -> None:
    true = signal(HEAD) @ np.array([2.0, 1.5, -0.5])
    foretold = forecast(signal(HEAD), true[:30], None)
    assert np.abs(foretold.mean - true).max() < 0.1 * np.ptp(true)
    assert (foretold.deviation > 0).all()
    assert (np.diff(forecast(signal(HEAD), true[:10], None).mean) < 0).all()


def test_a_forecast_has_the_scale_of_the_scores() -> None:
    scores = RANDOM.normal(size=15)
    base = forecast(signal(HEAD), scores, None)
    moved = forecast(signal(HEAD), scores * 40 - 1000, None)
    np.testing.assert_allclose(moved.mean, base.mean * 40 - 1000)
    np.testing.assert_allclose(moved.deviation, base.deviation * 40)


def test_candidates_are_less_certain_the_less_alike_they_are_to_those_that_were_read() -> None:
    deviation = forecast(signal(HEAD), RANDOM.normal(size=10), None).deviation
    assert deviation[-1] > deviation[12] > deviation[5]


def test_a_prior_rules_while_little_is_known_and_gives_way() -> None:
    prior = Prior(mean=(5.0, 0.0, 0.0), spread=(0.1, 0.1, 0.1), sigma=1.0)
    assert forecast(signal(HEAD), np.array([0.0]), prior).mean.mean() == pytest.approx(5.0, abs=0.3)
    loose = prior.model_copy(update={"spread": (100.0, 100.0, 100.0)})
    assert forecast(signal(HEAD), np.zeros(30), loose).mean.mean() == pytest.approx(0.0, abs=0.1)


def test_where_several_stages_gave_the_scores_received_the_rank_stands_in_for_them() -> None:
    mixed = HEAD.head(1).followed_by(Ranking.from_scores([("x", 1e9), ("y", 1e8)], "bm25"))
    z = signal(mixed)[:, 1]
    np.testing.assert_allclose(np.diff(z), np.diff(z)[0])
    assert z[0] > z[1] > z[2]


def test_equal_or_huge_scores_received_say_nothing_and_break_nothing() -> None:
    equal = Ranking.from_scores([("a", 1e300), ("b", 1e300), ("c", 1e300)], "fuse")
    assert (signal(equal)[:, 1] == 0).all()
    apart = Ranking.from_scores([("a", 1e300), ("b", 0.0), ("c", -1e300)], "fuse")
    assert np.isfinite(signal(apart)).all()


def test_the_chance_that_none_exceeds_its_bar_is_the_product_of_each() -> None:
    foretold = Forecast(np.zeros(2), np.ones(2))
    assert foretold.log_chance_below(np.array([0.0, np.inf])) == pytest.approx(np.log(0.5))
    assert foretold.log_chance_below(np.array([0.0, 0.0])) == pytest.approx(np.log(0.25))
    assert foretold.log_chance_below(np.array([0.0, -np.inf])) < -100
    assert foretold.after(2).log_chance_below(np.array([])) == 0.0

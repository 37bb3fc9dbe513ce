"""A stage costs what it and all that it needs cost, and the front keeps what nothing beats at its price."""

import pytest

from cascade.evaluate.html.cost import costs, front
from cascade.evaluate.report import Report
from cascade.evaluate.through_server import Runs


def test_a_retriever_stands_alone_and_a_tier_needs_all_before_it(
    judged: tuple[tuple[Report, Runs], tuple[Report, Runs]],
) -> None:
    bm25, dense, fuse, tier = costs(judged[1][0].stages)
    assert (bm25.seconds, dense.seconds) == (0.001, 0.01)
    assert (bm25.tokens, dense.tokens, fuse.tokens) == (0, 8, 8)
    assert fuse.seconds == pytest.approx(0.0111)
    assert tier.seconds == pytest.approx(0.0111 + 0.5 * 2 / 3)  # one query in three skipped it
    assert tier.tokens == pytest.approx(8 + 600 * 2 / 3)


def test_money_is_what_the_seconds_cost_and_unknown_without_a_price(
    judged: tuple[tuple[Report, Runs], tuple[Report, Runs]],
) -> None:
    tier = costs(judged[1][0].stages)[-1]
    assert tier.money == pytest.approx(tier.seconds * 0.36 / 3600)
    assert [cost.money for cost in costs(judged[0][0].stages)] == [None] * 3


def test_without_a_fuser_every_stage_needs_those_before_it(
    judged: tuple[tuple[Report, Runs], tuple[Report, Runs]],
) -> None:
    figures = judged[1][0].stages
    assert costs((figures[0], figures[3]))[1].seconds == pytest.approx(0.001 + 0.5 * 2 / 3)


def test_the_front_rises_with_the_price() -> None:
    assert front([(1.0, 0.5), (2.0, 0.4), (3.0, 0.6), (2.5, 0.6), (9.0, 0.6)]) == (0, 3)
    assert front([(5.0, 0.9), (5.0, 0.8), (1.0, 0.2)]) == (2, 0)
    assert front([(1.0, 0.5), (1.0, 0.5)]) == (0,)
    assert front([]) == ()

"""The limit of a model falls while work waits, grows while it is needed, and knows large requests from small ones."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade_server.overload.limit import GradientLimit, Pace

RATE = 0.001
"""Seconds per token."""


def run(limit: GradientLimit, *, times: int, tokens: float = 100.0, offered: float = math.inf) -> None:
    """Requests that find as much ahead as is offered and the limit lets be, as a busy model has."""
    for _ in range(times):
        ahead = min(offered, limit.tokens)
        limit.observe(tokens, tokens * RATE, (ahead + tokens) * RATE, ahead)


def test_nothing_is_limited_before_anything_was_measured() -> None:
    assert GradientLimit().tokens == math.inf


def test_under_lasting_overload_the_limit_settles_at_a_few_requests_and_stays() -> None:
    limit = GradientLimit(tolerance=2.0, queue=3.0)
    run(limit, times=300)
    settled = limit.tokens
    assert 4 * 100 < settled < 7 * 100
    run(limit, times=3000)
    assert limit.tokens == pytest.approx(settled)


def test_a_limit_that_nothing_comes_near_does_not_grow() -> None:
    limit = GradientLimit()
    run(limit, times=100)
    before = limit.tokens
    run(limit, times=1000, offered=0.0)
    assert limit.tokens == pytest.approx(before)


def test_a_limit_that_is_reached_without_waiting_grows() -> None:
    limit = GradientLimit()
    run(limit, times=100)
    before = limit.tokens
    for _ in range(20):
        limit.observe(100.0, 0.1, 0.1, limit.tokens)
    assert limit.tokens > 2 * before


def test_small_requests_are_not_refused_because_one_large_one_is_ahead() -> None:
    limit = GradientLimit()
    for _ in range(50):
        limit.observe(10_000.0, 10.0, 10.0, 0.0)
        for _ in range(9):
            limit.observe(10.0, 0.01, 0.01, 0.0)
    assert limit.tokens > 10_000.0


def test_a_measurement_without_a_rate_teaches_nothing() -> None:
    limit = GradientLimit()
    limit.observe(100.0, 0.0, 1.0, 0.0)
    limit.observe(0.0, 1.0, 1.0, 0.0)
    assert limit.tokens == math.inf


@given(st.lists(st.tuples(st.floats(1, 1e6), st.floats(1e-6, 100), st.floats(0, 1e3), st.floats(0, 1e9)), min_size=1))
def test_whatever_is_measured_a_limit_lets_a_request_wait(samples: list[tuple[float, float, float, float]]) -> None:
    limit = GradientLimit()
    for tokens, alone, took, ahead in samples:
        limit.observe(tokens, alone, took, ahead)
    assert min(tokens for tokens, *_ in samples) <= limit.tokens < math.inf


def test_a_pace_follows_what_took_longer_and_what_took_less() -> None:
    pace = Pace()
    assert pace.factor == 1.0
    pace.observe(0.0, 5.0)
    assert pace.factor == 1.0
    for _ in range(100):
        pace.observe(1.0, 1.5)
    assert pace.factor == pytest.approx(1.5, rel=1e-3)
    for _ in range(100):
        pace.observe(1.0, 0.8)
    assert pace.factor == pytest.approx(0.8, rel=1e-3)


@given(st.lists(st.tuples(st.floats(1e-6, 1e3), st.floats(0, 1e6)), min_size=1))
def test_whatever_was_measured_a_pace_is_bounded(samples: list[tuple[float, float]]) -> None:
    pace = Pace()
    for foretold, took in samples:
        pace.observe(foretold, took)
    assert 0.5 <= pace.factor <= 4.0

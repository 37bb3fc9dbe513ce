"""A rate is a window of whole seconds, and says when what was refused will fit."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade_server.control.state import Quota
from cascade_server.overload.window import Counted, Window


@pytest.mark.parametrize(
    ("rate", "burst", "tokens", "seconds"),
    [
        (100.0, None, 1000, 10),
        (100.0, 1000, 1000, 10),
        (100.0, 250, 300, 3),
        (100.0, 1, 100, 1),
        (0.5, None, 5, 10),
        (0.01, None, 1, 100),
    ],
)
def test_a_burst_is_whole_seconds_of_the_rate(rate: float, burst: int | None, tokens: int, seconds: int) -> None:
    assert Window.of(Quota(tokens_per_second=rate, burst_tokens=burst)) == Window(tokens, seconds)


def test_without_a_rate_there_is_no_window() -> None:
    assert Window.of(Quota(burst_tokens=5)) is None


@given(st.floats(0.01, 1e6), st.none() | st.integers(1, 10**8))
def test_a_window_allows_the_rate_in_the_long_run_and_the_burst_at_once(rate: float, burst: int | None) -> None:
    window = Window.of(Quota(tokens_per_second=rate, burst_tokens=burst))
    assert window is not None
    assert window.tokens / window.seconds == pytest.approx(rate, abs=1 / window.seconds)
    assert window.tokens >= (burst or 0) - 1


@given(st.integers(0, 500), st.integers(0, 500), st.floats(0, 10), st.integers(1, 600))
def test_what_is_refused_fits_after_its_wait_and_not_before(
    previous: int, current: int, fades_in: float, tokens: int
) -> None:
    window = Window(500, 10)
    full = window.full(Counted(previous, current, fades_in), tokens)
    if tokens > window.tokens:
        assert math.isinf(full.wait)
        return

    def level(wait: float) -> float:
        """What the window holds after `wait`, by the definition of the sliding window counter."""
        if wait < fades_in:
            return previous * (fades_in - wait) / 10 + current
        return current * max(0.0, 10 - (wait - fades_in)) / 10

    assert level(full.wait) + tokens <= window.tokens + 1e-6
    if full.wait > 1e-6:
        assert level(full.wait * 0.999) + tokens >= window.tokens - 1e-6
    assert full.tokens == pytest.approx(level(0.0) + tokens)

"""Whether and when a failed call is tried again."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade_client import errors
from cascade_client.retry import Attempts, RetryPolicy, is_retryable
from cascade_client.retry_budget import RetryBudget

_CLASSES = [*errors.ClientError.__subclasses__(), errors.OverloadedError, errors.QuotaExceededError]
_SECONDS = st.floats(0, 100)
_JITTER = st.floats(0, 1, exclude_max=True)


@st.composite
def failures(draw: st.DrawFn) -> errors.ClientError:
    """Any error, with or without a RetryInfo."""
    return draw(st.sampled_from(_CLASSES))("no", errors.Details(retry_after=draw(st.none() | _SECONDS)))


class Clock:
    """Time that moves only when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@given(
    st.lists(failures(), min_size=12, max_size=12), _SECONDS, st.lists(_SECONDS, min_size=12), _JITTER, st.booleans()
)
def test_tries_never_outlive_the_deadline(
    met: list[errors.ClientError], timeout: float, durations: list[float], jitter: float, idempotent: bool
) -> None:
    clock = Clock()
    deadline = clock() + timeout
    attempts = Attempts(RetryPolicy(retries=10), deadline, idempotent, RetryBudget(most=20), clock, lambda: jitter)
    for failure, duration in zip(met, durations, strict=True):
        assert attempts.timeout is not None
        clock.now += min(duration, attempts.timeout)  # gRPC ends a try at its timeout
        assert clock() <= deadline or attempts.timeout == 0.0
        pause = attempts.pause_after(failure)
        if pause is None:
            return
        clock.now += pause
        assert clock() < deadline + 1e-9
    raise AssertionError("more tries than the policy allows")


@given(failures(), st.integers(1, 10), _JITTER, st.booleans())
def test_a_pause_is_at_least_what_retry_info_asks_for(
    failure: errors.ClientError, tries: int, jitter: float, idempotent: bool
) -> None:
    policy = RetryPolicy(retries=10)
    pause = policy.pause(failure, tries=tries, left=1e9, idempotent=idempotent, jitter=jitter)
    if pause is not None:
        asked = failure.details.retry_after or 0.0
        assert asked <= pause <= asked + policy.longest_pause


@given(failures(), _SECONDS, _JITTER)
def test_a_pause_that_would_end_after_the_deadline_is_not_made(
    failure: errors.ClientError, left: float, jitter: float
) -> None:
    pause = RetryPolicy().pause(failure, tries=1, left=left, idempotent=True, jitter=jitter)
    assert pause is None or pause < left


@given(failures(), st.integers(0, 5))
def test_retries_end_after_their_number(failure: errors.ClientError, retries: int) -> None:
    policy = RetryPolicy(retries=retries)
    assert policy.pause(failure, tries=retries + 1, left=1e9, idempotent=True, jitter=0.5) is None


def test_pauses_double_up_to_the_longest() -> None:
    policy = RetryPolicy(retries=10, first_pause=0.1, longest_pause=0.5)
    gone = errors.UnavailableError("no")
    pauses = [policy.pause(gone, tries=n, left=1e9, idempotent=True, jitter=1.0) for n in range(1, 6)]
    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.5, 0.5])


def test_only_errors_that_changed_nothing_or_may_be_repeated_are_retried() -> None:
    told = errors.Details(retry_after=1.0)
    assert is_retryable(errors.OverloadedError("no", told), idempotent=False)
    assert is_retryable(errors.AbortedError("no"), idempotent=False)
    assert is_retryable(errors.UnavailableError("no"), idempotent=True)
    assert not is_retryable(errors.UnavailableError("no"), idempotent=False)
    assert is_retryable(errors.UnavailableError("draining", told), idempotent=False)
    assert not is_retryable(errors.ResourceExhaustedError("message too large"), idempotent=True)
    again = {errors.OverloadedError, errors.QuotaExceededError, errors.AbortedError, errors.UnavailableError}
    never = set(_CLASSES) - again
    assert not any(is_retryable(kind("no", told), idempotent=True) for kind in never)


def test_without_a_deadline_a_try_has_no_timeout() -> None:
    assert Attempts(RetryPolicy(), float("inf"), True).timeout is None


@pytest.mark.parametrize("seconds", [math.inf, 1e12])
def test_a_time_that_grpc_cannot_count_is_no_limit(seconds: float) -> None:
    assert Attempts(RetryPolicy(), time.monotonic() + seconds, idempotent=True).timeout is None


def test_a_client_that_tries_for_days_goes_on_with_the_longest_pause() -> None:
    policy = RetryPolicy(retries=10_000)
    failure = errors.UnavailableError("no", errors.Details())
    assert policy.pause(failure, tries=5000, left=math.inf, idempotent=True, jitter=0.5) == policy.longest_pause / 2

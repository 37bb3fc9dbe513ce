"""Every error of the engine has a status, and what its sender is told fits into a header."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2

from cascade.errors import (
    CascadeError,
    CorruptIndexError,
    InvalidInputError,
    NotFoundError,
    OverloadedError,
    Violation,
)
from cascade_server.errors import QuotaExceededError, UnavailableError
from cascade_server.status import CODES, code_of, internal_status, reason_of, status_of

HEADER_BYTES = 8192


def tree(kind: type[CascadeError]) -> Iterator[type[CascadeError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from tree(child)


@pytest.mark.parametrize("kind", list(tree(CascadeError)))
def test_every_error_of_the_tree_has_a_status_of_its_own(kind: type[CascadeError]) -> None:
    if kind.__module__.startswith("cascade"):
        assert kind in CODES
    assert CODES[kind] is not grpc.StatusCode.OK


def test_an_error_that_is_new_has_its_parents_status() -> None:
    class Vanished(NotFoundError):
        """A subclass that the table does not have."""

    assert code_of(Vanished("index", "a")) is grpc.StatusCode.NOT_FOUND


def test_a_reason_is_the_errors_name_for_programs() -> None:
    assert reason_of(CorruptIndexError("a", Path("a"), "torn")) == "CORRUPT_INDEX"
    assert reason_of(UnavailableError("starting")) == "UNAVAILABLE"


@pytest.mark.parametrize("error", [OverloadedError("the server", 0.25), UnavailableError("starting", 0.25)])
def test_what_passes_says_when_to_retry(error: CascadeError) -> None:
    retry = error_details_pb2.RetryInfo()
    assert status_of(error).details[-1].Unpack(retry)
    assert retry.retry_delay.ToNanoseconds() == 250_000_000


def test_many_long_violations_fit_into_a_header() -> None:
    error = InvalidInputError([Violation(f"documents[{i}].metadata.{'k' * 500}", "ß" * 1000) for i in range(1000)])
    status = status_of(error)
    base64 = len(status.SerializeToString()) * 4 / 3
    percent_encoded = len(status.message.encode()) * 3
    assert base64 + percent_encoded < HEADER_BYTES


def test_the_text_of_an_unforeseen_error_stays_in_the_log() -> None:
    assert internal_status().message == "an unexpected error; the server's log has the details"


def test_a_quota_failure_names_the_tenant_and_the_quota() -> None:
    error = QuotaExceededError("red", "max_depth", 100, 50, None, stage="fuse")
    failure = error_details_pb2.QuotaFailure()
    assert any(detail.Unpack(failure) for detail in status_of(error).details)
    (violation,) = failure.violations
    assert violation.subject == "tenant:red"
    assert violation.description.startswith("max_depth: ")
    assert "found 100 in stage 'fuse', allowed 50; ask for less" in violation.description

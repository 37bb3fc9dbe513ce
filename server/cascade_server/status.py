"""How each error of the engine looks on the wire: a gRPC status code with google.rpc details."""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from google.protobuf import duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from cascade.errors import (
    AlreadyExistsError,
    BudgetExceededError,
    CascadeError,
    ConfigError,
    CorruptIndexError,
    IndexBusyError,
    InvalidInputError,
    ModelLoadError,
    NotFoundError,
    OverloadedError,
    StageError,
    UnsuitableError,
    Violation,
)
from cascade_server.errors import (
    ConflictError,
    PermissionDeniedError,
    QuotaExceededError,
    StalledError,
    StoreError,
    UnauthenticatedError,
    UnavailableError,
)

DOMAIN = "cascade-ranking"

CODES: dict[type[CascadeError], grpc.StatusCode] = {
    CascadeError: grpc.StatusCode.INTERNAL,
    InvalidInputError: grpc.StatusCode.INVALID_ARGUMENT,
    ConfigError: grpc.StatusCode.FAILED_PRECONDITION,
    NotFoundError: grpc.StatusCode.NOT_FOUND,
    AlreadyExistsError: grpc.StatusCode.ALREADY_EXISTS,
    ModelLoadError: grpc.StatusCode.FAILED_PRECONDITION,
    CorruptIndexError: grpc.StatusCode.DATA_LOSS,
    IndexBusyError: grpc.StatusCode.ABORTED,
    OverloadedError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    BudgetExceededError: grpc.StatusCode.DEADLINE_EXCEEDED,
    StageError: grpc.StatusCode.INTERNAL,
    UnsuitableError: grpc.StatusCode.FAILED_PRECONDITION,
    UnavailableError: grpc.StatusCode.UNAVAILABLE,
    StalledError: grpc.StatusCode.DEADLINE_EXCEEDED,
    UnauthenticatedError: grpc.StatusCode.UNAUTHENTICATED,
    PermissionDeniedError: grpc.StatusCode.PERMISSION_DENIED,
    QuotaExceededError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    StoreError: grpc.StatusCode.UNAVAILABLE,
    ConflictError: grpc.StatusCode.FAILED_PRECONDITION,
}

# Message and details travel in one header block, and clients refuse one beyond 8 KiB.
_MAX_MESSAGE_CHARS = 400
_MAX_VIOLATION_BYTES = 3000


def code_of(error: CascadeError) -> grpc.StatusCode:
    """The status code of `error`, that of its nearest ancestor in the table."""
    return next(CODES[kind] for kind in type(error).__mro__ if kind in CODES)


def reason_of(error: CascadeError) -> str:
    """The name of `error` for programs: NotFoundError is NOT_FOUND."""
    name = type(error).__name__.removesuffix("Error")
    return "".join(f"_{c}" if c.isupper() and i else c for i, c in enumerate(name)).upper()


def status_of(error: CascadeError) -> status_pb2.Status:
    """What the caller is sent: code, message, ErrorInfo, and for some BadRequest or RetryInfo."""
    known = sorted(vars(error).items())
    facts = {key: shorten(str(value), 200) for key, value in known if isinstance(value, str | float | int)}
    details: list[Message] = [error_details_pb2.ErrorInfo(reason=reason_of(error), domain=DOMAIN, metadata=facts)]
    if isinstance(error, InvalidInputError):
        details.append(_bad_request(error.violations))
    if isinstance(error, QuotaExceededError):
        failure = error_details_pb2.QuotaFailure()
        failure.violations.add(subject=f"tenant:{error.tenant}", description=f"{error.quota}: {error}")
        details.append(failure)
    if isinstance(error, OverloadedError | UnavailableError | QuotaExceededError) and error.retry_after is not None:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(int(error.retry_after * 1e9))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    return _status(code_of(error), shorten(str(error), _MAX_MESSAGE_CHARS), details)


def internal_status() -> status_pb2.Status:
    """What the caller is sent for an error that nobody foresaw; its text stays in the server's log."""
    info = error_details_pb2.ErrorInfo(reason="INTERNAL", domain=DOMAIN)
    return _status(grpc.StatusCode.INTERNAL, "an unexpected error; the server's log has the details", [info])


def _status(code: grpc.StatusCode, message: str, details: Sequence[Message]) -> status_pb2.Status:
    number: int = code.value[0]
    status = status_pb2.Status(code=number, message=message)
    for detail in details:
        status.details.add().Pack(detail)
    return status


def shorten(text: str, limit: int) -> str:
    """`text`, cut to `limit` characters with an ellipsis where it is longer."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _bad_request(violations: tuple[Violation, ...]) -> error_details_pb2.BadRequest:
    found = error_details_pb2.BadRequest()
    size = 0
    for position, violation in enumerate(violations):
        size += len(violation.field.encode()) + len(violation.message.encode()) + 8
        if position and size > _MAX_VIOLATION_BYTES:
            left = len(violations) - position
            found.field_violations.add(field="", description=f"and {left} more violations, left out for their size")
            break
        found.field_violations.add(field=shorten(violation.field, 200), description=shorten(violation.message, 500))
    return found

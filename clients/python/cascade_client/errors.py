"""What a call can raise: one class per gRPC status, under `ClientError`.

ClientError
├── InvalidArgumentError     violations: every field at fault
├── NotFoundError
├── AlreadyExistsError
├── ResourceExhaustedError   too much was asked for, such as a message over the limit
│   └── OverloadedError      no room now; retry_after says when to come back
│       └── QuotaExceededError   it is the tenant's own quota: which, what was found and what is allowed
├── DeadlineError            the deadline passed before any ranking existed
├── UnavailableError         no connection, or the server is starting or stopping
├── AbortedError             another process is writing the index
├── FailedPreconditionError  a model cannot be used
├── DataLossError            an index cannot be read
├── InternalError
├── UnauthenticatedError     no credentials, or none that hold
├── PermissionDeniedError    another role or tenant than the caller's
├── OutOfRangeError, UnimplementedError, UnknownError
└── CancelledError
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, cast

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule: the path of the field in the request, and what was found and expected there."""

    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Details:
    """What a server says about an error beside its message, from the google.rpc details.

    `reason`, `domain` and `metadata` come from ErrorInfo, `retry_after` (seconds) from RetryInfo, None without one;
    `quota_failures` from QuotaFailure, with whose quota it is as their field.
    """

    violations: tuple[Violation, ...] = ()
    reason: str = ""
    domain: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    retry_after: float | None = None
    quota_failures: tuple[Violation, ...] = ()


class ClientError(Exception):
    """A call that did not succeed; `code` is the gRPC status, `message` the server's sentence."""

    code: grpc.StatusCode = grpc.StatusCode.UNKNOWN

    def __init__(self, message: str, details: Details | None = None) -> None:
        self.message = message
        self.details = details or Details()
        super().__init__(message)


class InvalidArgumentError(ClientError):
    """The request breaks the contract; `violations` names every field at fault."""

    code = grpc.StatusCode.INVALID_ARGUMENT

    @property
    def violations(self) -> Sequence[Violation]:
        """Every field at fault, in the request's order."""
        return self.details.violations

    @classmethod
    def of(cls, violations: Sequence[Violation]) -> InvalidArgumentError:
        """The error for values that cannot even be written as a request."""
        message = "; ".join(f"{v.field}: {v.message}" for v in violations)
        return cls(message, Details(violations=tuple(violations)))


class NotFoundError(ClientError):
    """There is no such tenant, cascade or index."""

    code = grpc.StatusCode.NOT_FOUND


class AlreadyExistsError(ClientError):
    """It is already there, and was left as it was."""

    code = grpc.StatusCode.ALREADY_EXISTS


class ResourceExhaustedError(ClientError):
    """More was asked for than there is room for; asking again helps only if it is an OverloadedError."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class OverloadedError(ResourceExhaustedError):
    """The server has no room for the request now, and did nothing of it."""

    @property
    def retry_after(self) -> float:
        """Seconds after which the server expects to have room."""
        return self.details.retry_after or 0.0


class QuotaExceededError(OverloadedError):
    """The tenant's quota does not allow the request, and nothing of it was done; other tenants are served as always."""

    @property
    def retry_after(self) -> float:
        """Seconds after which the quota allows it; infinity where the request as it is will never be allowed."""
        return math.inf if self.details.retry_after is None else self.details.retry_after

    @property
    def quota(self) -> str:
        """Which one, by its name among the fields of Quota."""
        return self.details.metadata.get("quota", "")

    @property
    def found(self) -> float | None:
        """What the request would have taken; None if the server does not say."""
        return _number(self.details.metadata.get("found"))

    @property
    def limit(self) -> float | None:
        """What the quota allows; None if the server does not say."""
        return _number(self.details.metadata.get("limit"))


class DeadlineError(ClientError):
    """The deadline passed before there was an answer."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED


class UnavailableError(ClientError):
    """The server cannot be reached, or is starting or stopping."""

    code = grpc.StatusCode.UNAVAILABLE


class AbortedError(ClientError):
    """Another process is writing; nothing was changed."""

    code = grpc.StatusCode.ABORTED


class FailedPreconditionError(ClientError):
    """The request is right and the server's state is not, such as a model that cannot be used."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class DataLossError(ClientError):
    """An index cannot be read."""

    code = grpc.StatusCode.DATA_LOSS


class InternalError(ClientError):
    """The server failed."""

    code = grpc.StatusCode.INTERNAL


class PermissionDeniedError(ClientError):
    """The caller may not do this."""

    code = grpc.StatusCode.PERMISSION_DENIED


class UnauthenticatedError(ClientError):
    """The server does not know who calls."""

    code = grpc.StatusCode.UNAUTHENTICATED


class OutOfRangeError(ClientError):
    """A value is beyond what there is."""

    code = grpc.StatusCode.OUT_OF_RANGE


class UnimplementedError(ClientError):
    """The server has no such method; it may be older than the client."""

    code = grpc.StatusCode.UNIMPLEMENTED


class UnknownError(ClientError):
    """The server failed without saying how."""

    code = grpc.StatusCode.UNKNOWN


class CancelledError(ClientError):
    """The call was cancelled."""

    code = grpc.StatusCode.CANCELLED


_CLASSES: dict[grpc.StatusCode, type[ClientError]] = {c.code: c for c in ClientError.__subclasses__()}


class _Failed(Protocol):
    """What failed calls of both transports have in common."""

    def code(self) -> grpc.StatusCode: ...
    def details(self) -> str | None: ...
    def trailing_metadata(self) -> Iterable[tuple[str, str | bytes]] | None: ...


def from_rpc(error: grpc.RpcError) -> ClientError:
    """The error that says what a failed call's status, message and google.rpc details say."""
    failed = cast("_Failed", error)
    details = _details(failed.trailing_metadata() or ())
    found = _CLASSES.get(failed.code(), UnknownError)
    if found is ResourceExhaustedError and details.quota_failures:
        found = QuotaExceededError
    elif found is ResourceExhaustedError and details.retry_after is not None:
        found = OverloadedError
    return found(failed.details() or failed.code().name, details)


def _details(metadata: Iterable[tuple[str, str | bytes]]) -> Details:
    encoded = next((value for key, value in metadata if key == "grpc-status-details-bin"), None)
    if not isinstance(encoded, bytes):
        return Details()
    try:
        status = status_pb2.Status.FromString(encoded)
    except DecodeError:  # written by something between us and the server; the status and message still stand
        return Details()
    request, info, retry, quota = (
        error_details_pb2.BadRequest(),
        error_details_pb2.ErrorInfo(),
        error_details_pb2.RetryInfo(),
        error_details_pb2.QuotaFailure(),
    )
    retry_after = None
    for detail in status.details:
        if detail.Unpack(retry):
            retry_after = retry.retry_delay.ToNanoseconds() / 1e9
        else:
            _ = detail.Unpack(request) or detail.Unpack(info) or detail.Unpack(quota)
    return Details(
        violations=tuple(Violation(v.field, v.description) for v in request.field_violations),
        reason=info.reason,
        domain=info.domain,
        metadata=dict(info.metadata),
        retry_after=retry_after,
        quota_failures=tuple(Violation(v.subject, v.description) for v in quota.violations),
    )


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:  # not a server of ours, or a newer one
        return None

"""Why a request was refused before any work, in one of few words, for metrics."""

from __future__ import annotations

from cascade.errors import OverloadedError
from cascade_server.errors import PermissionDeniedError, QuotaExceededError, UnauthenticatedError, UnavailableError


def refusal(error: Exception | None) -> str:
    """The quota's name, `overloaded`, `unavailable`, or why credentials did not do; empty for another error."""
    match error:
        case QuotaExceededError():
            return error.quota
        case OverloadedError():
            return "overloaded"
        case UnavailableError():
            return "unavailable"
        case UnauthenticatedError() | PermissionDeniedError():
            return str(error.kind)
    return ""

"""Why callers are refused, in the few words that programs and metrics go by."""

from __future__ import annotations

from enum import StrEnum


class Refusal(StrEnum):
    """The kind of an UnauthenticatedError or PermissionDeniedError; no caller can make another."""

    NO_CREDENTIALS = "no_credentials"
    MALFORMED = "malformed"
    UNKNOWN_KEY = "unknown_key"
    EXPIRED_KEY = "expired_key"
    UNKNOWN_CERTIFICATE = "unknown_certificate"
    EXPIRED_CERTIFICATE = "expired_certificate"
    INVALID_TOKEN = "invalid_token"
    EXPIRED_TOKEN = "expired_token"
    CONFLICTING = "conflicting"
    ROLE = "role"
    TENANT = "tenant"

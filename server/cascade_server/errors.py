"""What can go wrong in the server beside the engine's own errors; each is a CascadeError with a status of its own."""

from __future__ import annotations

from cascade.errors import CascadeError


class UnavailableError(CascadeError):
    """The server takes no work in its present `state`; `retry_after` is a hint in seconds."""

    def __init__(self, state: str, retry_after: float = 1.0) -> None:
        self.state = state
        self.retry_after = retry_after
        super().__init__(f"the server is {state}; retry in {retry_after:.3g} s, or ask another one")


class StalledError(CascadeError):
    """The caller did not do its part of a call within `seconds`; `what` says which."""

    def __init__(self, what: str, seconds: float) -> None:
        self.what = what
        self.seconds = seconds
        super().__init__(f"the caller {what} for {seconds:.3g} s; the call ends here, and nothing was changed")


class UnauthenticatedError(CascadeError):
    """The caller has not proved who it is; `reason` says what was found and is accepted, and nothing of any key.

    `kind` is an `access.refusals.Refusal`.
    """

    def __init__(self, reason: str, kind: str = "malformed") -> None:
        self.reason = reason
        self.kind = kind
        super().__init__(reason)


class PermissionDeniedError(CascadeError):
    """The caller is known and may not do this; `reason` says what it would take.

    `kind` is an `access.refusals.Refusal`.
    """

    def __init__(self, reason: str, kind: str = "tenant") -> None:
        self.reason = reason
        self.kind = kind
        super().__init__(reason)


class QuotaExceededError(CascadeError):
    """A request beyond the tenant's `quota`, a field of the contract's Quota: `found` where `limit` is allowed.

    `stage` is the one that asks for too much, empty where it is the whole request. `retry_after` is in seconds, None
    where the request as it is will never be admitted.
    """

    def __init__(
        self, tenant: str, quota: str, found: float, limit: float, retry_after: float | None, *, stage: str = ""
    ) -> None:
        self.tenant = tenant
        self.quota = quota
        self.found = found
        self.limit = limit
        self.retry_after = retry_after
        self.stage = stage
        what = f"{found:g} in stage {stage!r}" if stage else f"{found:g}"
        advice = "ask for less" if retry_after is None else f"retry in {retry_after:.3g} s"
        super().__init__(f"tenant {tenant!r} is over its quota {quota}: found {what}, allowed {limit:g}; {advice}")


class StoreError(CascadeError):
    """The control plane's store cannot be reached or read; nothing was changed, and what was in force stays so."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the store cannot be used: {reason}; nothing was changed")


class ConflictError(CascadeError):
    """What was asked for does not fit the state of things; `reason` says what was found and what to do first."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)

"""What is known of a request while it runs, for its log line and its metrics."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field

from cascade_server.access.principal import Principal

OTHER = "other"
"""The label of every name that the caller made up, so that callers cannot make series of metrics."""


@dataclass(slots=True)
class Record:
    """One request: `tenant` and `cascade` are metric labels and hold only names that the operator chose, or OTHER.

    `principal` is who asks, `named_tenant` the tenant that it named in metadata, if any, and `acting_tenant` the one it
    acts for, all set before any handler runs. `size` is that of the message being answered, in bytes.
    """

    method: str
    tenant: str = OTHER
    cascade: str = OTHER
    principal: Principal | None = None
    named_tenant: str | None = None
    acting_tenant: str = ""
    size: int = 0
    fields: dict[str, object] = field(default_factory=dict)


_current: ContextVar[Record] = ContextVar("cascade_request")


def current() -> Record:
    """The record of the request that this task serves."""
    return _current.get()


def begin(method: str) -> Record:
    """A new record, current for this task from now on."""
    record = Record(method)
    _current.set(record)
    return record

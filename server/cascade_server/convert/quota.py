"""What a tenant may use, from the wire and back; 0 on the wire is no limit."""

from __future__ import annotations

import math

from cascade.budget import Priority
from cascade_api.v1 import quota_pb2
from cascade_server.control.state import Quota
from cascade_server.convert.checks import Checks

_PRIORITIES: dict[Priority, quota_pb2.Priority.ValueType] = {
    Priority.HIGH: quota_pb2.PRIORITY_HIGH,
    Priority.NORMAL: quota_pb2.PRIORITY_NORMAL,
    Priority.LOW: quota_pb2.PRIORITY_LOW,
}
_BY_NUMBER = {number: priority for priority, number in _PRIORITIES.items()}
_BY_NUMBER[quota_pb2.PRIORITY_UNSPECIFIED] = Priority.NORMAL

# Beyond these the shares of a busy model are no longer shares: one tenant would have all of it.
_LEAST_WEIGHT, _MOST_WEIGHT = 0.001, 1000.0
_MOST_TOKENS = 2**53
"""What a float holds exactly, and a database's integer holds too."""


def quota_of(message: quota_pb2.Quota, field: str, checks: Checks) -> Quota:
    """The quota that `message` says; its violations are added to `checks`, with paths that begin with `field`."""
    rate, weight = message.tokens_per_second, message.weight
    if not (math.isfinite(rate) and 0 <= rate <= _MOST_TOKENS):
        checks.add(f"{field}.tokens_per_second", f"found {rate}, expected 0 to {_MOST_TOKENS}, 0 for no limit")
    for name in ("burst_tokens", "max_request_tokens"):
        found = getattr(message, name)
        checks.require(found <= _MOST_TOKENS, f"{field}.{name}", f"found {found}, expected at most {_MOST_TOKENS}")
    for name in ("max_concurrent_requests", "max_depth", "max_documents"):
        found = getattr(message, name)
        checks.require(found < 2**31, f"{field}.{name}", f"found {found}, expected at most {2**31 - 1}")
    if message.burst_tokens and not rate:
        checks.add(f"{field}.burst_tokens", "found a burst without tokens_per_second, which it is above; set both")
    if weight and not _LEAST_WEIGHT <= weight <= _MOST_WEIGHT:
        checks.add(f"{field}.weight", f"found {weight}, expected {_LEAST_WEIGHT:g} to {_MOST_WEIGHT:g}, or 0 for 1")
    if message.priority not in _BY_NUMBER:
        checks.add(f"{field}.priority", f"found {message.priority}, expected PRIORITY_HIGH, _NORMAL or _LOW")
    return Quota(
        tokens_per_second=rate or None,
        burst_tokens=message.burst_tokens or None,
        max_concurrent_requests=message.max_concurrent_requests or None,
        max_depth=message.max_depth or None,
        max_documents=message.max_documents or None,
        max_request_tokens=message.max_request_tokens or None,
        priority=_BY_NUMBER.get(message.priority, Priority.NORMAL),
        weight=weight or 1.0,
    )


def quota_message(quota: Quota) -> quota_pb2.Quota:
    """A quota as the wire says it."""
    return quota_pb2.Quota(
        tokens_per_second=quota.tokens_per_second or 0.0,
        burst_tokens=quota.burst_tokens or 0,
        max_concurrent_requests=quota.max_concurrent_requests or 0,
        max_depth=quota.max_depth or 0,
        max_documents=quota.max_documents or 0,
        max_request_tokens=quota.max_request_tokens or 0,
        priority=_PRIORITIES[quota.priority],
        weight=quota.weight,
    )
